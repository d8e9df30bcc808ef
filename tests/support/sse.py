"""Clients of the live stream, as the standard describes them: they come back with the last id (WHATWG HTML, SSE)."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, NamedTuple

import simplejson


class Sent(NamedTuple):
    """A block of the stream; `event` is empty for a comment, `last_id` for one that tells no id."""

    event: str
    last_id: str
    data: Any = None


class Refused(Exception):
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"{status} {body!r}")
        self.status = status
        self.headers = headers
        self.slug = str(json.loads(body)["type"]).removeprefix("/problems/")


async def blocks(port: int, query: str = "", headers: Mapping[str, str] | None = None) -> AsyncGenerator[Sent]:
    """What one connection gets, until the server ends the answer. Raises Refused, OSError, IncompleteReadError."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        lines = [f"GET /events/stream?{query} HTTP/1.1", "Host: localhost", "Accept: text/event-stream"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        status, answered = _head(await reader.readuntil(b"\r\n\r\n"))
        if status != 200:
            raise Refused(status, answered, await reader.readexactly(int(answered["content-length"])))
        assert answered["content-type"].startswith("text/event-stream")
        received = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            received += (await reader.readexactly(size + 2))[:size]
            *whole, received = received.split(b"\n\n")
            for block in whole:
                yield _block(block.decode())
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _head(text: bytes) -> tuple[int, dict[str, str]]:
    status_line, *lines = text.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(status_line.split(" ")[1]), headers


def _block(text: str) -> Sent:
    fields = dict(line.split(": ", 1) for line in text.split("\n") if not line.startswith(":"))
    if "data" not in fields:
        return Sent("", fields.get("id", ""), fields.get("retry"))
    return Sent(fields["event"], fields["id"], simplejson.loads(fields["data"], use_decimal=True))


class Follower:
    """Comes back whenever a stream has ended, from the last id it was told."""

    def __init__(self, port: int, query: str = "", headers: Mapping[str, str] | None = None) -> None:
        self._port, self._query, self._headers = port, query, headers or {}
        self._last_id = ""
        self.ids: list[str] = []
        self.connections = 0

    async def follow(self) -> None:
        """Until it is cancelled."""
        while True:
            headers = {**self._headers, **({"Last-Event-ID": self._last_id} if self._last_id else {})}
            with suppress(OSError, asyncio.IncompleteReadError):
                self.connections += 1
                async with aclosing(blocks(self._port, self._query, headers)) as stream:
                    try:
                        async for sent in stream:
                            self._last_id = sent.last_id or self._last_id
                            if sent.event:
                                self.ids.append(sent.data["id"])
                    except Refused as refused:
                        if refused.status != 503:
                            raise
            await asyncio.sleep(0.05)
