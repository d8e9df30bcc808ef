"""A WSGI application under ASGI: bodies are read without a thread, and a live stream needs none once it has begun."""

import asyncio
import io
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from werkzeug.exceptions import BadRequest, RequestTimeout
from werkzeug.test import run_wsgi_app

from webapp.api.requests import TooManyChunks
from webapp.api.streams import OPEN_STREAM, Stream, Streams

# More than the cores of a process, as requests wait: most of them for the disk at a commit, and three quarters of them
# at most for the read side or for news (webapp/api/waiting.py).
THREADS = 16

MOST_PARTS = 500  # of a body in chunks; each costs some 25 microseconds, and two switches of threads

WITHOUT_PREFIX = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Unread(io.RawIOBase):
    """Stands for a body that was given up. Reading it raises this error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def readinto(self, _: object) -> int:
        raise self._error


class AsgiApplication:
    """Answers each request in a thread once it is all there; answers are sent whole, but for streams. Times are in
    seconds."""

    def __init__(
        self, app: Any, streams: Streams, *, largest_body: int, body_timeout: float, unread_timeout: int
    ) -> None:
        self._app = app
        self._streams = streams
        self._largest_body = largest_body
        self._body_timeout = body_timeout
        self._unread_timeout = unread_timeout
        self._threads = ThreadPoolExecutor(THREADS)
        self._is_first = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if self._is_first:
            self._is_first = False
            self._give_up_unread(int(scope["server"][1]))
        variables, opened = environ(scope, await self._body(scope, receive)), list[Stream]()
        variables[OPEN_STREAM] = lambda *wanted: opened.append(self._streams.open(*wanted))
        try:
            await self._answer(variables, opened, receive, send)
        finally:
            for stream in opened:
                self._streams.close(stream)

    async def _answer(self, variables: dict[str, Any], opened: list[Stream], receive: Receive, send: Send) -> None:
        """`opened` gets the stream that the application wants to go on with, if it does."""
        loop = asyncio.get_running_loop()
        parts, status, headers = await loop.run_in_executor(
            self._threads, lambda: run_wsgi_app(self._app, variables, buffered=True)
        )
        if opened:
            headers.remove("Content-Length")
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": int(status[:3]), "headers": encoded})
        await send({"type": "http.response.body", "body": b"".join(parts), "more_body": bool(opened)})
        if opened:
            await self._streams.serve(opened[0], receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """From the start of the process to its end."""
        await receive()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # The server's own handler, which asyncio calls too, waits for every answer to end, those of streams too.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._streams.stop))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def _give_up_unread(self, port: int) -> None:
        """Connections that were waiting at the first look have no bound yet, so it looks again and again."""
        give_up_unread(port, self._unread_timeout)
        asyncio.get_running_loop().call_later(self._unread_timeout, self._give_up_unread, port)

    async def _body(self, scope: Scope, receive: Receive) -> io.IOBase:
        """Of one that is too large, nothing if its length is told, and else its beginning."""
        headers = dict(scope["headers"])
        chunked, told = b"transfer-encoding" in headers, int(headers.get(b"content-length", b"0"))
        if not chunked and not 0 < told <= self._largest_body:
            return io.BytesIO()
        received, parts, more = io.BytesIO(), 0, True
        try:
            async with asyncio.timeout(self._body_timeout):
                while more and received.tell() < self._largest_body:
                    event = await receive()
                    if event["type"] == "http.disconnect":  # the client went away while sending
                        return Unread(BadRequest())
                    received.write(event["body"])
                    more, parts = event["more_body"], parts + 1
                    if chunked and parts > MOST_PARTS:
                        return Unread(TooManyChunks(MOST_PARTS))
        except TimeoutError:
            return Unread(RequestTimeout())
        received.seek(0)
        return received


def give_up_unread(port: int, seconds: int) -> None:
    """The kernel ends connections whose client takes nothing of an answer for so long.

    Granian has no setting for that, and makes its listening socket itself, of which later connections inherit it."""
    for descriptor in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError), socket.fromfd(int(descriptor.name), socket.AF_INET, socket.SOCK_STREAM) as found:
            if found.getsockname()[1:2] == (port,):
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)


def environ(scope: Scope, body: io.IOBase) -> dict[str, Any]:
    """For WSGI (PEP 3333).

    A header with an underscore in its name is left out, as nginx does: X_Forwarded_For would pass for X-Forwarded-For.
    """
    (server, port), (client, _) = scope["server"], scope["client"]
    variables = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server.strip("[]"),
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client.strip("[]"),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for encoded, value in scope["headers"]:
        name = encoded.decode("latin-1")
        if "_" not in name:
            variable = WITHOUT_PREFIX.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
            before = f"{variables[variable]}," if variable in variables else ""
            variables[variable] = before + value.decode("latin-1")
    return variables
