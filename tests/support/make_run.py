"""`make run`'s own program on free ports and a folder of its own: every server and process is real."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError

import psutil

from tests.support.ports import own_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60
READY = "Ctrl-C stops everything"


class Stack:
    """Runs the release whose folder is `root`. `output` is everything that it has printed so far."""

    def __init__(self, data_dir: Path, root: Path = ROOT, /, **environment: str) -> None:
        self.data_dir = data_dir
        self.root = root
        self.port, self.flower_port = own_port(), own_port()
        inherited = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        ports = {"PORT": str(self.port), "FLOWER_PORT": str(self.flower_port), "DATA_DIR": str(data_dir)}
        self.environment = {**inherited, **ports, **environment}
        self.output = ""

    def __enter__(self) -> Self:
        self._choose_ports_of_servers()
        self.launch()
        wait_until(lambda: READY in self.output or self.process.poll() is not None, START_SECONDS)
        assert READY in self.output, self.output
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def _choose_ports_of_servers(self) -> None:
        """As if they had run before: a server takes the port that it had, if it is free."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for server in ("postgres", "valkey"):
            state = self.data_dir / f"{server}.json"
            if not state.exists():
                state.write_text(json.dumps({"port": own_port()}))

    def launch(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.output += line

    def stop(self, by: signal.Signals = signal.SIGINT) -> float:
        """The seconds it took."""
        started = time.monotonic()
        self.process.send_signal(by)
        self.process.wait(30)
        return time.monotonic() - started

    @property
    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def running(self, part: str) -> list[psutil.Process]:
        """The top processes of web, worker, webhooks, beat, flower, postgres or valkey."""
        words = {"web": "webapp.serve", "postgres": "bin/postgres", "valkey": "valkey-server"}
        words |= {"worker": "--queues orderlog,", "webhooks": "--queues orderlog.webhooks"}
        word = words.get(part, f"app {part}")
        tops = psutil.Process(self.process.pid).children()
        return [top for top in tops if word in command_line(top)]

    def post(self, path: str, body: object = None) -> dict[str, Any]:
        return request(f"http://127.0.0.1:{self.port}{path}", {} if body is None else body)

    def get(self, path: str) -> dict[str, Any]:
        return request(f"http://127.0.0.1:{self.port}{path}")

    def place(self, customer_name: str = "山田太郎") -> str:
        order_id: str = self.post("/orders", {"customer_name": customer_name, "total_amount": 100})["order_id"]
        return order_id


def command_line(process: psutil.Process) -> str:
    """Nothing for a process that has died."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def outliving(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still run after so many seconds; not the dead whom nobody has reaped."""
    return [process for process in psutil.wait_procs(processes, timeout=seconds)[1] if command_line(process)]


def request(url: str, body: object = None) -> dict[str, Any]:
    """The JSON answer. Raises HTTPError."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as answer:
        document: dict[str, Any] = json.load(answer)
    return document


def shown(stack: Stack, order_id: str, version: int = 1) -> bool:
    """Whether both read models show the order, one of the newest 200, at this version or a later one."""
    summaries = stack.get("/orders?limit=200")["orders"]
    listed = {summary["order_id"]: summary["version"] for summary in summaries}
    return listed.get(order_id, 0) >= version and details_version(stack, order_id) >= version


def details_version(stack: Stack, order_id: str) -> int:
    """0 while the order is stored but not shown."""
    try:
        return int(stack.get(f"/orders/{order_id}")["version"])
    except HTTPError as error:
        if error.code != 503:
            raise
        return 0
