"""A PgBouncer of a test's own, from Debian's package, before a PostgreSQL of the tests."""

import os
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from local.program import NOBODY, Program
from local.servers import CannotStart, Server, write_secret

PROGRAM = Path("/usr/sbin/pgbouncer")
ADVICE = "apt-get install --no-install-recommends pgbouncer"
POOLER = os.environ.get("TEST_POOLER", "")  # "pgbouncer", or "" for none
MOST_CLIENTS = 500


class PgBouncer(Server):
    """Passes on to the server of these URLs, whose roles may log in. `mode` is its pool_mode."""

    name = "pgbouncer"

    def __init__(self, data_dir: Path, *urls: str, mode: str = "transaction") -> None:
        super().__init__(data_dir)
        self._urls = [make_url(url) for url in urls]
        self._mode = mode

    def of(self, database_url: str) -> str:
        """The same database by way of this pooler."""
        return make_url(database_url).set(port=self.port).render_as_string(hide_password=False)

    def prepare(self) -> None:
        if not PROGRAM.exists():
            raise CannotStart(f"PgBouncer is not installed here: {ADVICE}.")
        self.folder.mkdir(exist_ok=True)
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": "users",
            "pool_mode": self._mode,
            "max_client_conn": str(MOST_CLIENTS),
            "server_login_retry": "1",  # second; a PostgreSQL that is back is used soon
            "logfile": "",
            "pidfile": "",
        }
        lines = ["[databases]", f"* = host=127.0.0.1 port={self._urls[0].port}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        users = [f'"{url.username}" "{url.password}"' for url in self._urls]
        for name, text in {"pgbouncer.ini": lines, "users": users}.items():
            write_secret(self.folder / name, "\n".join(text) + "\n")
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, NOBODY, NOBODY)

    @property
    def program(self) -> Program:
        as_root = os.geteuid() == 0  # which it refuses to run as
        command = [str(PROGRAM), "pgbouncer.ini"]
        return Program(name=self.name, command=command, cwd=self.folder, log=self.log, as_nobody=as_root)

    def answers(self) -> bool:
        url = self._urls[0].set(database="postgres")  # which no test copies, so that it may be in use
        try:
            psycopg.connect(self.of(url.render_as_string(hide_password=False)), connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True
