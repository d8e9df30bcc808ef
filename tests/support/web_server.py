"""The application behind a real web server, as the Procfile starts it, for what a test client cannot show."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil
import simplejson

from local.program import stop
from tests.support.make_run import ROOT
from tests.support.ports import own_port
from tests.support.remote import Remote
from tests.support.waiting import wait_until

RESPAWN_SECONDS = 6.0  # granian ends when a process dies within 5.5 s of its start
TELLS_OF_WAITS = "tests.support.factories:tells_of_waits"


class WebServer:
    """Serves on a free loopback port while the block runs."""

    def __init__(
        self,
        database_url: str,
        redis_url: str,
        log: Path,
        *,
        processes: int = 1,
        app: str = "webapp:create_app",
        **environment: str,
    ) -> None:
        self.port = own_port()
        self.processes = processes
        self._waits = log.with_suffix(".waits")
        self._app = app
        self._environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "ORDERLOG_AUTH": "off",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WEB_PROCESSES": str(processes),
            "WAITS": str(self._waits),
            **environment,
        }
        self._log = log

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "webapp.serve", self._app]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(lambda: self._listens() or self._process.poll() is not None)
        assert self._process.poll() is None, self._log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        stop(self._process, signal.SIGTERM, seconds=10)

    def ask_to_stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def kill_a_process(self) -> None:
        """The oldest of those that answer requests; the server starts another. It gives up if one dies that is new."""

        def oldest() -> psutil.Process | None:
            children = psutil.Process(self._process.pid).children()
            if len(children) < self.processes:
                return None
            found = min(children, key=psutil.Process.create_time)
            return found if time.time() - found.create_time() > RESPAWN_SECONDS else None

        wait_until(oldest)
        found = oldest()
        assert found is not None
        found.kill()

    def wait_for_end(self, seconds: float) -> int:
        """The exit status."""
        return self._process.wait(seconds)

    def wait_for_waits(self, number: int) -> None:
        """Until so many requests have begun to wait, if the application tells of them."""
        wait_until(lambda: self._waits.exists() and self._waits.stat().st_size >= number)

    @property
    def client(self) -> Remote:
        return Remote(self.port)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def raw(self, request: bytes, *, then_close_sending: bool = False) -> "RawAnswer":
        """Send these bytes, or as many as the server takes, and read until it closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            with suppress(OSError):
                connection.sendall(request)
                if then_close_sending:
                    connection.shutdown(socket.SHUT_WR)
            received = b""
            while part := connection.recv(65536):
                received += part
        return RawAnswer(received)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


class RawAnswer:
    def __init__(self, received: bytes) -> None:
        head, _, self.body = received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status_line.split(" ")[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    @property
    def document(self) -> Any:
        return simplejson.loads(self.body.decode())
