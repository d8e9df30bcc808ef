"""The processes of one drill, by the Procfile's own commands; what dies is started again."""

import os
import queue
import sys
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

import psutil

from local.program import Program, procfile
from local.supervisor import Supervisor
from tests.support.make_run import ROOT, request
from tests.support.pooler import POOLER, PgBouncer
from tests.support.ports import own_port
from tests.support.waiting import wait_until

START_SECONDS = 60
SEED = int(os.environ.get("DRILL_SEED", "20260131"))


class Keeper(threading.Thread):
    """Runs a supervisor in a thread of its own: a program's life is bound to the thread that started it."""

    def __init__(self) -> None:
        super().__init__(name="keeper", daemon=True)
        self.supervisor = Supervisor(lambda _, line: None)
        self._jobs: queue.Queue[tuple[Any, Sequence[Any], Future[None]] | None] = queue.Queue()

    def run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=0.05)
            except queue.Empty:
                self.supervisor.tend()
                continue
            if job is None:
                return
            work, arguments, done = job
            try:
                done.set_result(work(*arguments))
            except Exception as error:  # for whoever waits
                done.set_exception(error)

    def do(self, work: Any, *arguments: Any) -> None:
        done: Future[None] = Future()
        self._jobs.put((work, arguments, done))
        done.result(30)

    def finish(self) -> None:
        self._jobs.put(None)
        self.join()


class Fleet:
    """`web_app` and `worker_app` name the service's own, but for its snapshots, or what a drill puts in their places;
    `environment` is by process, such as "web-0". `follower` is a script that follows the feed of the first web into the
    file follower.sqlite. With TEST_POOLER they reach PostgreSQL through PgBouncer."""

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str,
        broker_url: str,
        webs: int = 1,
        workers: int = 2,
        beats: int = 1,
        webhooks: int = 0,
        web_app: str = "tests.drills.factories:early_snapshots",
        worker_app: str = "worker.app",
        environment: Mapping[str, Mapping[str, str]] | None = None,
        follower: str = "",
    ) -> None:
        self.logs = folder
        self.database_url = database_url
        self._pooler = PgBouncer(folder, database_url) if POOLER else None
        self.service_url = self._pooler.of(database_url) if self._pooler else database_url
        self._common = _environment(self.service_url, broker_url)
        self._environment = environment or {}
        self.ports = [own_port() for _ in range(webs)]
        commands = procfile(ROOT / "Procfile")
        self._commands = {
            "web": commands["web"].replace("webapp:create_app", web_app),
            "worker": commands["worker"].replace("worker.app", worker_app),
            "webhooks": commands["webhooks"].replace("worker.app", worker_app),
            "beat": commands["beat"].replace("worker.app", worker_app),
        }
        if follower:
            place = f"http://127.0.0.1:{self.ports[0]} {folder / 'follower.sqlite'}"
            self._commands["follower"] = f"exec python {follower} {place}"
        self._numbers = {
            "web": webs,
            "worker": workers,
            "webhooks": webhooks,
            "beat": beats,
            "follower": bool(follower),
        }
        self._keeper = Keeper()

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        self._keeper.start()
        try:
            if self._pooler:
                self._pooler.start()
            for kind, number in self._numbers.items():
                for each in range(number):
                    self.start(f"{kind}-{each}")
            wait_until(lambda: all(map(_ready, self.ports)), START_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._keeper.do(self._keeper.supervisor.stop, lambda _: True, 0.5)
        self._keeper.finish()
        if self._pooler:
            self._pooler.stop()

    def start(self, name: str) -> None:
        kind, number = name.split("-")
        own = {"PORT": str(self.ports[int(number)])} if kind == "web" else {}
        command = self._commands[kind] + (f" --hostname {name}@%h" if kind in ("worker", "webhooks") else "")
        program = Program(
            name=name,
            command=["sh", "-c", command],
            cwd=ROOT,
            env={**self._common, **own, **self._environment.get(name, {})},
            log=self.logs / f"{name}.log",
        )
        self._keeper.do(self._keeper.supervisor.start, program)

    def stop(self, name: str) -> None:
        """For good: it is not started again."""
        self._keeper.do(self._keeper.supervisor.stop, lambda each: each == name, 5)

    def answers(self, path: str) -> list[dict[str, Any]]:
        """What each web server says; nothing while one of them is being started."""
        try:
            return [request(f"http://127.0.0.1:{port}{path}") for port in self.ports]
        except OSError:
            return []

    def tops(self, kind: str) -> list[psutil.Process]:
        """The living top processes of web, worker, webhooks or beat."""
        found = []
        for child in list(self._keeper.supervisor._children):
            if child.program.name.startswith(f"{kind}-") and child.process.returncode is None:
                try:
                    found.append(psutil.Process(child.process.pid))
                except psutil.NoSuchProcess:
                    continue
        return found


def _environment(database_url: str, broker_url: str) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "DRILL_SEED": str(SEED),  # for factories.py
        "ORDERLOG_AUTH": "off",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "REDIS_URL": "",  # counts requests, which are not limited here
    }


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
