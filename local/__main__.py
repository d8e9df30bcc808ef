"""`make run`: PostgreSQL and Valkey if need be, migrations, then the Procfile's processes, until Ctrl-C or SIGTERM."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

from local import probes
from local.choices import Choices, claim, flower_login
from local.program import Program, stop
from local.servers import CannotStart, PostgresServer, Server, ValkeyServer, write_secret
from local.supervisor import Supervisor

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60.0
MOST_DEATHS = 3  # of a server before it has answered once
STOP_SECONDS = 6.0  # for the processes, then again for the servers

# What `make run` sets unless the environment does.
LOCAL_SETTINGS = {"ORDERLOG_AUTH": "off", "LOG_FORMAT": "plain"}

READY = """
Orderlog is running.

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


class Stopped(Exception):
    """Ctrl-C or SIGTERM came while starting."""


def main() -> int:
    stopping = threading.Event()

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask_to_stop)
    try:
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
            environment = self._start()
            self._print_block(environment)
            while not self._stopping.is_set():
                self._supervisor.tend()
                self._stopping.wait(0.2)
        except Stopped:
            pass
        finally:
            self._stop()

    def _start(self) -> Mapping[str, str]:
        """The environment of the processes that run now."""
        if self._choices.database_url:
            probes.require_postgresql(self._choices.database_url)
        if self._choices.redis_url:
            probes.require_redis(self._choices.redis_url)
        if self._choices.broker_url:
            probes.require_broker(self._choices.broker_url)
        database_url = self._choices.database_url or self._serve(PostgresServer(self._choices.data_dir)).url
        redis_url = self._choices.redis_url or self._serve(ValkeyServer(self._choices.data_dir)).url
        broker_url = self._choices.broker_url or redis_url
        urls = {"database_url": database_url, "redis_url": redis_url}
        if self._choices.broker_url:
            urls["broker_url"] = broker_url
        write_secret(self._urls_file, json.dumps(urls))
        environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            # Celery warns root for the sake of pickle, which is not accepted here.
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "HOST": "127.0.0.1",
            "PORT": str(self._choices.port),
            **{name: os.environ.get(name) or value for name, value in LOCAL_SETTINGS.items()},
            "FLOWER_PORT": str(self._choices.flower_port),
            "FLOWER_BASIC_AUTH": flower_login(self._choices.data_dir),
        }
        self._say("orderlog", "migrating the database")
        self._migrate(environment)
        for name, command in procfile(ROOT / "Procfile").items():
            self._say("orderlog", f"starting {name}")
            program = Program(name=name, command=["sh", "-c", command], cwd=ROOT, env=environment)
            self._supervisor.start(program)
        self._wait_for("the API", lambda: probes.answers(f"http://127.0.0.1:{self._choices.port}/readyz"))
        self._wait_for("Flower", lambda: probes.answers(f"http://127.0.0.1:{self._choices.flower_port}/healthcheck"))
        self._wait_for("the worker", probes.worker_answers(broker_url))
        return environment

    def _serve(self, server: Server) -> Server:
        self._say("orderlog", f"starting {server.name}; it logs to {server.log}")
        server.prepare()
        self._supervisor.start(server.program)
        self._wait_for(server.name, server.answers, log=server.log)
        return server

    def _migrate(self, environment: Mapping[str, str]) -> None:
        """Raises CannotStart, Stopped."""
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
        values = {"port": self._choices.port, "flower_port": self._choices.flower_port}
        keys = KEYS.get(environment["ORDERLOG_AUTH"], "")
        text = READY.format(**values, keys=keys, user=user, password=password, data_dir=self._choices.data_dir)
        self._print(text)

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


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")


def procfile(path: Path) -> dict[str, str]:
    """Shell commands by process name."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return {name.strip(): command.strip() for name, command in (line.split(":", 1) for line in lines)}


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that knows no Japanese
    sys.exit(main())
