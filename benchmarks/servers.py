"""PostgreSQL and Valkey of the benchmark's own, as `make run` starts them: an answer means that it is on disk."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg import sql
from redis import Redis
from sqlalchemy.engine import make_url

from core import api_keys
from core.api_keys import Scope
from core.command_handler import utc_now
from core.database import session_factory
from local.servers import PostgresServer, ValkeyServer

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "migrated"

# The service's default would refuse most of a load from one address and one key; counting costs the same whatever the
# number is.
SERVED_AS_IN_PRODUCTION = {"ORDERLOG_AUTH": "on", "RATE_LIMIT": "6000000/minute"}
WITHOUT_LIMITS = {"ORDERLOG_AUTH": "on", "RATE_LIMIT": "off"}


@dataclass(frozen=True, slots=True)
class Servers:
    folder: Path
    postgres: PostgresServer
    valkey: ValkeyServer

    def use_here(self, database_url: str) -> None:
        """By what of the service runs in this process; it reads its settings when its first module is used."""
        os.environ |= self._urls(database_url)

    @property
    def redis(self) -> Redis:
        return Redis.from_url(self.valkey.url)

    def database(self, name: str) -> str:
        """The URL of a new, migrated, empty database."""
        with psycopg.connect(self.postgres.superuser_url, autocommit=True) as connection:
            names = sql.Identifier(name), sql.Identifier(TEMPLATE)
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        return self._url(name)

    def empty_database(self, name: str) -> str:
        """The URL of a new database without any table."""
        with psycopg.connect(self.postgres.superuser_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._url(name)

    def drop_databases(self) -> None:
        """Those made so far, whoever is connected: vacuuming them would disturb whatever is measured next."""
        kept = ["postgres", "orderlog", TEMPLATE]
        with psycopg.connect(self.postgres.superuser_url, autocommit=True) as connection:
            query = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> ALL(%s)"
            for (name,) in connection.execute(query, [kept]).fetchall():
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def environment(self, database_url: str) -> dict[str, str]:
        """What a process of the service needs to know."""
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            **self._urls(database_url),
            # Celery warns root for the sake of pickle, which is not accepted here.
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        }

    def _urls(self, database_url: str) -> dict[str, str]:
        """Of every server that the service may use, so that no setting of the user's leads it elsewhere."""
        urls = {"DATABASE_URL": database_url, "REDIS_URL": self.valkey.url, "BROKER_URL": self.valkey.url}
        return {**urls, "DATABASE_REPLICA_URL": "", "DATA_DIR": str(self.folder)}

    def _url(self, name: str) -> str:
        return make_url(self.postgres.superuser_url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def running_servers(parent: Path) -> Iterator[Servers]:
    """Servers with data in a folder below `parent`, which goes when they stop."""
    os.umask(0o077)
    parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="bench-", dir=parent) as name:
        folder = Path(name)
        postgres = PostgresServer(folder)
        _note_commit_times(postgres)
        with postgres, ValkeyServer(folder) as valkey:
            servers = Servers(folder, postgres, valkey)
            _migrate(servers)
            yield servers


def bearer_of_new_key(database_url: str) -> str:
    """The value of an Authorization header that may do everything."""
    sessions = session_factory(database_url)
    with sessions.begin() as session:
        created = api_keys.create(session, "benchmark", set(Scope), now=utc_now())
    sessions.kw["bind"].dispose()
    return f"Bearer {created.text}"


def _note_commit_times(postgres: PostgresServer) -> None:
    """Lets PostgreSQL itself say when a row became visible; holds from the next start."""
    with postgres, psycopg.connect(postgres.superuser_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")


def _migrate(servers: Servers) -> None:
    environment = {**os.environ, **servers.environment(servers.empty_database(TEMPLATE))}
    command = [sys.executable, "-m", "flask", "db", "upgrade"]
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
