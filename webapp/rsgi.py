"""A WSGI application under granian's RSGI, which reads bodies without a thread and tells headers by their own names."""

import asyncio
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from granian.rsgi import Scope
from werkzeug.exceptions import RequestTimeout
from werkzeug.test import run_wsgi_app

# More than the cores of a process, as requests wait: most of them for the disk at a commit, and up to half of them for
# the read side (webapp/api/waiting.py).
THREADS = 16

WITHOUT_PREFIX = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class BodyTimedOut(io.RawIOBase):
    """Stands for a body that did not come in time. Reading it raises RequestTimeout."""

    def readinto(self, _: object) -> int:
        raise RequestTimeout


class RsgiApplication:
    """Answers each request in a thread once it is all there; answers are sent whole. Times are in seconds."""

    def __init__(self, app: Any, *, largest_body: int, body_timeout: float) -> None:
        self._app = app
        self._largest_body = largest_body
        self._body_timeout = body_timeout
        self._threads = ThreadPoolExecutor(THREADS)

    async def __call__(self, scope: Scope, protocol: Any) -> None:
        body = await self._body(scope, protocol)
        await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, scope, protocol, body)

    async def _body(self, scope: Scope, protocol: Any) -> io.IOBase:
        """Of one that is too large, nothing if its length is told, and else its beginning."""
        told = scope.headers.get("content-length")
        if told is None and "transfer-encoding" not in scope.headers:
            return io.BytesIO()
        awaited = self._largest_body if told is None else int(told)
        if awaited > self._largest_body:
            return io.BytesIO()
        received = b""
        try:
            async with asyncio.timeout(self._body_timeout):
                async for part in protocol:
                    received += part
                    if len(received) >= awaited:
                        break
        except TimeoutError:
            return BodyTimedOut()
        return io.BytesIO(received)

    def _answer(self, scope: Scope, protocol: Any, body: io.IOBase) -> None:
        parts, status, headers = run_wsgi_app(self._app, environ(scope, body), buffered=True)
        protocol.response_bytes(int(status[:3]), list(headers), b"".join(parts))


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
