"""A WSGI application under granian's RSGI, which reads bodies without a thread and tells headers by their own names."""

import asyncio
import io
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from granian.rsgi import ProtocolClosed, Scope  # type: ignore[attr-defined]  # its types leave the first out
from werkzeug.exceptions import BadRequest, RequestTimeout
from werkzeug.test import run_wsgi_app

from webapp.api.requests import TooManyChunks

# More than the cores of a process, as requests wait: most of them for the disk at a commit, and up to half of them for
# the read side (webapp/api/waiting.py).
THREADS = 16

MOST_PARTS = 500  # of a body in chunks; each costs some 25 microseconds, and two switches of threads

WITHOUT_PREFIX = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class Unread(io.RawIOBase):
    """Stands for a body that was given up. Reading it raises this error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def readinto(self, _: object) -> int:
        raise self._error


class RsgiApplication:
    """Answers each request in a thread once it is all there; answers are sent whole. Times are in seconds."""

    def __init__(self, app: Any, *, largest_body: int, body_timeout: float, unread_timeout: int) -> None:
        self._app = app
        self._largest_body = largest_body
        self._body_timeout = body_timeout
        self._unread_timeout = unread_timeout
        self._threads = ThreadPoolExecutor(THREADS)
        self._is_first = True

    async def __call__(self, scope: Scope, protocol: Any) -> None:
        if self._is_first:
            give_up_unread(scope.server, self._unread_timeout)
        self._is_first = False
        body = await self._body(scope, protocol)
        await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, scope, protocol, body)

    async def _body(self, scope: Scope, protocol: Any) -> io.IOBase:
        """Of one that is too large, nothing if its length is told, and else its beginning. The server puts a body
        together whose length is told; of others it hands on each chunk by itself, which costs far more."""
        chunked, told = "transfer-encoding" in scope.headers, scope.headers.get("content-length", "0")
        if not chunked and not 0 < int(told) <= self._largest_body:
            return io.BytesIO()
        try:
            async with asyncio.timeout(self._body_timeout):
                return await self._parts(protocol) if chunked else io.BytesIO(await protocol())
        except TimeoutError:
            return Unread(RequestTimeout())
        except ProtocolClosed:  # the client went away while sending
            return Unread(BadRequest())

    async def _parts(self, protocol: Any) -> io.IOBase:
        received, number = io.BytesIO(), 0
        async for part in protocol:
            received.write(part)
            number += 1
            if number > MOST_PARTS:
                return Unread(TooManyChunks(MOST_PARTS))
            if received.tell() >= self._largest_body:
                break
        received.seek(0)
        return received

    def _answer(self, scope: Scope, protocol: Any, body: io.IOBase) -> None:
        parts, status, headers = run_wsgi_app(self._app, environ(scope, body), buffered=True)
        protocol.response_bytes(int(status[:3]), list(headers), b"".join(parts))


def give_up_unread(server: str, seconds: int) -> None:
    """The kernel ends connections whose client takes nothing of an answer for so long.

    Granian has no setting for that, and makes its listening socket itself, of which later connections inherit it."""
    port = int(server.rpartition(":")[2])
    for descriptor in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError), socket.fromfd(int(descriptor.name), socket.AF_INET, socket.SOCK_STREAM) as found:
            if found.getsockname()[1:2] == (port,):
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)


def environ(scope: Scope, body: io.IOBase) -> dict[str, Any]:
    """For WSGI (PEP 3333).

    A header with an underscore in its name is left out, as nginx does: X_Forwarded_For would pass for X-Forwarded-For.
    """
    host, _, port = scope.server.rpartition(":")
    variables = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": _latin1(scope.path),
        "QUERY_STRING": _latin1(scope.query_string),
        "SERVER_NAME": host.strip("[]"),
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "HTTP_HOST": scope.authority or "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    headers: Any = scope.headers
    for name in headers:
        if "_" not in name:
            variable = WITHOUT_PREFIX.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
            variables[variable] = ",".join(headers.get_all(name))
    return variables


def _latin1(text: str) -> str:
    return text.encode().decode("latin-1")
