"""A closed load over HTTP/1.1: each connection sends its next request when the answer to the last one is complete.

Own code because it has to cost little: it shares the machine with the server that it measures."""

import asyncio
import json
import time
from dataclasses import dataclass

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Load:
    requests_per_second: float
    latencies: list[float]  # milliseconds


class Connection(asyncio.Protocol):
    """Sends `request` again and again until the deadline; `done` is set then, or to what went wrong."""

    def __init__(self, request: bytes, deadline: float) -> None:
        self._request = request
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
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def _finish(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error) if error else self.done.set_result(None)
            self._transport.close()


def post(port: int, path: str, body: object, connections: int, seconds: float) -> Load:
    """Post the same body from so many connections. Raises when an answer is not 201."""
    return asyncio.run(_post(port, _request(path, body), connections, seconds))


async def _post(port: int, request: bytes, connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    started = time.monotonic()
    made = [
        await loop.create_connection(lambda: Connection(request, started + seconds), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.done for _, connection in made))
    latencies = [latency for _, connection in made for latency in connection.latencies]
    return Load(len(latencies) / (time.monotonic() - started), latencies)


def _request(path: str, body: object) -> bytes:
    content = json.dumps(body, ensure_ascii=False).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def _content_length(head: bytes) -> int:
    """Of an answer, which the servers measured here always give one."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError(f"No Content-Length in {head!r}")
