"""A receiver of webhooks: a real HTTP server that keeps what it got, and answers as it is told."""

import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Semaphore
from typing import Any, Self

from sqlalchemy.orm import Session, sessionmaker

from core.webhooks.delivering import deliver, dispatch
from core.webhooks.sending import Sender
from tests.support.ports import own_port

Behave = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True, slots=True)
class Got:
    """A request."""

    path: str
    headers: dict[str, str]
    body: str

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


def answer(status: int, body: bytes = b"", **headers: str) -> Behave:
    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return behave


@dataclass
class Receiver:
    """While its block runs. `behave` may be replaced at any time; `got` is everything that came."""

    behave: Behave = field(default_factory=lambda: answer(204))
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    port: int = field(default_factory=own_port)
    got: list[Got] = field(default_factory=list)
    connections: int = 0
    open: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}/hook"

    @property
    def versions(self) -> dict[str, list[int]]:
        """By order, as they came."""
        found: dict[str, list[int]] = {}
        for each in self.got:
            found.setdefault(each.event["subject"], []).append(each.event["orderversion"])
        return found

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                receiver.open.append(self.request)
                if receiver.tls:
                    self.request.do_handshake()
                super().setup()
                receiver.connections += 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                receiver.got.append(Got(self.path, dict(self.headers), body))
                receiver.behave(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in receiver.host else socket.AF_INET
            daemon_threads = False

            def get_request(self) -> tuple[socket.socket, Any]:
                connection, address = super().get_request()
                if receiver.tls:
                    connection = receiver.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                return connection, address

            def handle_error(self, *_: Any) -> None:
                """Clients that go away are what some tests are about."""

        self._server = Server((self.host, self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        for connection in self.open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()


def deliver_all(sessions: sessionmaker[Session]) -> int:
    """What is due now, of every endpoint, as the webhooks process does it; returns how many attempts that were."""
    attempts = 0
    with Sender(development=True) as sender:
        for webhook_id in dispatch(sessions):
            while deliver(sessions, sender, webhook_id, Semaphore()):
                attempts += 1
    return attempts
