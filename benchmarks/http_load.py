"""A closed load over HTTP/1.1: each connection sends its next request when the answer to the last one is complete.

Own code because it has to cost little: it shares the machine with the server that it measures."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from itertools import count

from uuid_utils import uuid7

HEAD_END = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """Sends what `next_request` gives until the deadline; `done` is set then, or to what went wrong."""

    def __init__(self, next_request: Callable[[], bytes], deadline: float) -> None:
        self._next_request = next_request
        self._deadline = deadline
        self._received = b""
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - as create_connection promises
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(HEAD_END)
        if not separator or len(body) < _content_length(head):
            return
        self.latencies.append((time.perf_counter() - self._sent_at) * 1000)
        self._received = b""
        if not head.startswith(b"HTTP/1.1 201"):
            self._finish(RuntimeError(f"Not created: {head!r} {body!r}"))
        elif time.monotonic() < self._deadline:
            self._send()
        else:
            self._finish(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._finish(error or ConnectionError("The server has closed the connection."))

    def _send(self) -> None:
        request = self._next_request()
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def _finish(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error) if error else self.done.set_result(None)
            self._transport.close()


def post(port: int, next_request: Callable[[], bytes], connections: int, seconds: float) -> list[float]:
    """From so many connections; the milliseconds that each request took. Raises when an answer is not 201."""
    return asyncio.run(_post(port, next_request, connections, seconds))


async def _post(port: int, next_request: Callable[[], bytes], connections: int, seconds: float) -> list[float]:
    loop = asyncio.get_running_loop()
    started = time.monotonic()
    made = [
        await loop.create_connection(lambda: Connection(next_request, started + seconds), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.done for _, connection in made))
    return [latency for _, connection in made for latency in connection.latencies]


def same_request(path: str, body: object) -> Callable[[], bytes]:
    """One request, sent again and again."""
    head, content = _head_and_content(path, body, {})
    request = b"%b\r\n\r\n%b" % (head, content)
    return lambda: request


def requests_with_keys(path: str, body: object, headers: Mapping[str, str]) -> Callable[[], bytes]:
    """The same, each time with an Idempotency-Key that no other request has; made by putting one number in."""
    head, content = _head_and_content(path, body, headers)
    before, after = b"%b\r\nIdempotency-Key: %b-" % (head, str(uuid7()).encode()), b"\r\n\r\n%b" % content
    numbers = count()
    return lambda: b"%b%d%b" % (before, next(numbers), after)


def _head_and_content(path: str, body: object, headers: Mapping[str, str]) -> tuple[bytes, bytes]:
    """The head lacks its last line end."""
    content = json.dumps(body, ensure_ascii=False).encode()
    every = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in every.items())]
    return "\r\n".join(lines).encode(), content


def _content_length(head: bytes) -> int:
    """Of an answer, which the servers measured here always give one."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError(f"No Content-Length in {head!r}")
