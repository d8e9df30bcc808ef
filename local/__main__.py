"""`make run`: PostgreSQL and Valkey if need be, migrations, then the Procfile's processes, until Ctrl-C or SIGTERM."""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # until main() takes over there is nothing to stop, nor to tell of

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import TypeVar

import psycopg

from local import probes
from local.choices import Choices, claim, flower_login, secret_key
from local.program import Program, procfile, stop
from local.servers import CannotStart, PostgresServer, Server, ValkeyServer, write_secret
from local.supervisor import Supervisor

ROOT = Path(__file__).resolve().parent.parent
OWNER_URL = "DATABASE_OWNER_URL"
READY_SECONDS = 60.0
WORKERS = 2  # of Celery: worker and webhooks
MOST_DEATHS = 3  # of a server before it has answered once
STOP_SECONDS = 6.0  # for the processes, then again for the servers

# What `make run` sets unless the environment does.
LOCAL_SETTINGS = {"ORDERLOG_AUTH": "off", "LOG_FORMAT": "plain"}

READY = """
Orderlog is running.

  Console  http://127.0.0.1:{port}/console
  API      http://127.0.0.1:{port}
  Keys     {keys}
  Flower   http://127.0.0.1:{flower_port}   (user {user}, password {password})
  Data     {data_dir}

Sample orders, in another shell:

  for name in 山田太郎 佐藤花子 "Jane Doe"; do
    curl -s localhost:{port}/orders -H 'Content-Type: application/json' \\
      -d "{{\\"customer_name\\": \\"$name\\", \\"total_amount\\": 83000}}"
  done
  curl -s localhost:{port}/orders

Ctrl-C stops everything; the data stays.
"""
KEYS = {
    "off": "none needed: ORDERLOG_AUTH=off, for programs on this machine only",
    "on": "needed: ORDERLOG_AUTH=on; `.venv/bin/flask api-keys create NAME --scope …` makes one",
}


AnyServer = TypeVar("AnyServer", bound=Server)


class Stopped(Exception):
    """Ctrl-C or SIGTERM came while starting."""


def main() -> int:
    stopping = threading.Event()

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask_to_stop)
    try:
        os.umask(0o077)
        choices = Choices.load(os.environ)
        lock = claim(choices.data_dir)
        LocalRun(choices, stopping).run()
        os.close(lock)
    except CannotStart as error:
        print(f"orderlog: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        advice = "DATA_DIR=… names another data folder"
        print(f"orderlog: {error.filename or 'The system'}: {error.strerror}. {advice}.", file=sys.stderr)
        return 1
    return 0


class LocalRun:
    """One run of everything, from the first server's start to the last one's end."""

    def __init__(self, choices: Choices, stopping: threading.Event) -> None:
        self._choices = choices
        self._stopping = stopping
        self._speaking = threading.Lock()
        self._supervisor = Supervisor(self._say)
        self._urls_file = choices.data_dir / "local.json"

    def run(self) -> None:
        """Raises CannotStart, after stopping what had been started."""
        try:
            environment = self._environment(self._start_servers())
            self._migrate(environment)
            if not self._choices.database_url:
                _grant(environment[OWNER_URL])
            self._start_processes({**environment, OWNER_URL: ""})
            self._print_block(environment)
            while not self._stopping.is_set():
                self._supervisor.tend()
                self._stopping.wait(0.2)
        except Stopped:
            pass
        finally:
            self._stop()

    def _start_servers(self) -> Mapping[str, str]:
        """The URLs of all servers, kept in a file too, for commands in another shell."""
        choices = self._choices
        for url, require in (
            (choices.database_url, probes.require_postgresql),
            (choices.redis_url, probes.require_redis),
            (choices.broker_url, probes.require_broker),
        ):
            if url:
                require(url)
        urls = {}
        if choices.database_url:
            urls["DATABASE_URL"] = choices.database_url
        else:
            postgres = self._serve(PostgresServer(choices.data_dir))
            urls |= {"DATABASE_URL": postgres.service_url, OWNER_URL: postgres.owner_url}
        urls["REDIS_URL"] = choices.redis_url or self._serve(ValkeyServer(choices.data_dir)).url
        if choices.broker_url:
            urls["BROKER_URL"] = choices.broker_url
        write_secret(self._urls_file, json.dumps({name.lower(): url for name, url in urls.items()}))
        return urls

    def _environment(self, urls: Mapping[str, str]) -> Mapping[str, str]:
        """What the processes of the Procfile get beside what `make run` was given."""
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            # Celery warns root for the sake of pickle, which is not accepted here.
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
            "HOST": "127.0.0.1",
            "PORT": str(self._choices.port),
            "FLOWER_PORT": str(self._choices.flower_port),
            "FLOWER_BASIC_AUTH": flower_login(self._choices.data_dir),
            "SECRET_KEY": os.environ.get("SECRET_KEY") or secret_key(self._choices.data_dir),
            **{name: os.environ.get(name) or value for name, value in LOCAL_SETTINGS.items()},
            **urls,
        }

    def _start_processes(self, environment: Mapping[str, str]) -> None:
        """Returns when the API, Flower and both workers answer. Raises CannotStart, Stopped."""
        for name, command in procfile(ROOT / "Procfile").items():
            self._say("orderlog", f"starting {name}")
            self._supervisor.start(Program(name=name, command=["sh", "-c", command], cwd=ROOT, env=environment))
        self._wait_for("the API", lambda: probes.answers(f"http://127.0.0.1:{self._choices.port}/readyz"))
        self._wait_for("Flower", lambda: probes.answers(f"http://127.0.0.1:{self._choices.flower_port}/healthcheck"))
        broker_url = environment.get("BROKER_URL") or environment["REDIS_URL"]
        self._wait_for("a worker", probes.workers_answer(broker_url, WORKERS))

    def _serve(self, server: AnyServer) -> AnyServer:
        self._say("orderlog", f"starting {server.name}; it logs to {server.log}")
        server.prepare()
        self._supervisor.start(server.program)
        self._wait_for(server.name, server.answers, log=server.log)
        return server

    def _migrate(self, environment: Mapping[str, str]) -> None:
        """Raises CannotStart, Stopped."""
        self._say("orderlog", "migrating the database")
        log = self._choices.data_dir.resolve() / "migrations.log"
        command = [sys.executable, "-m", "flask", "db", "upgrade"]
        migrating = Program(name="migrations", command=command, cwd=ROOT, env=environment, log=log).launch()
        while migrating.poll() is None:
            if self._stopping.wait(0.05):
                stop(migrating, signal.SIGTERM, STOP_SECONDS)
                raise Stopped
        if migrating.returncode:
            raise CannotStart(f"The database could not be migrated: {_last_line(log)} ({log} says more)")

    def _wait_for(self, what: str, answers: Callable[[], bool], log: Path | None = None) -> None:
        """Raises CannotStart when it takes too long, or has died several times; and Stopped."""
        deadline = time.monotonic() + READY_SECONDS
        while not answers():
            if time.monotonic() > deadline or self._supervisor.deaths(what) == MOST_DEATHS:
                why = f"{_last_line(log)} ({log} says more)" if log else "its lines above say why"
                raise CannotStart(f"{what} does not start: {why}.")
            self._supervisor.tend()
            if self._stopping.wait(0.1):
                raise Stopped

    def _print_block(self, environment: Mapping[str, str]) -> None:
        user, password = environment["FLOWER_BASIC_AUTH"].split(":", 1)
        choices, keys = self._choices, KEYS.get(environment["ORDERLOG_AUTH"], "")
        ports = {"port": choices.port, "flower_port": choices.flower_port}
        self._print(READY.format(**ports, keys=keys, user=user, password=password, data_dir=choices.data_dir))

    def _stop(self) -> None:
        """What uses the servers first, then the servers; each group at once."""
        self._say("orderlog", "stopping")
        servers = {PostgresServer.name, ValkeyServer.name}
        self._supervisor.stop(lambda name: name not in servers, STOP_SECONDS)
        self._supervisor.stop(lambda name: name in servers, STOP_SECONDS)
        self._urls_file.unlink(missing_ok=True)
        self._say("orderlog", "stopped")

    def _say(self, who: str, line: str) -> None:
        self._print(f"{who:9} | {line}")

    def _print(self, text: str) -> None:
        with self._speaking:
            try:
                print(text, flush=True)
            except OSError:  # nobody reads any more, so nobody could stop it either
                self._stopping.set()


def _grant(owner_url: str) -> None:
    """The service's role gets the rights that it has in production."""
    with psycopg.connect(owner_url) as connection:
        connection.execute((ROOT / "migrations" / "roles.sql").read_bytes())


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that knows no Japanese
    sys.exit(main())
