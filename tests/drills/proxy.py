"""A TCP proxy that passes bytes on, holds them back, slows them down, or resets every connection."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self, TypeVar

Result = TypeVar("Result")

CHUNK = 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s


class Proxy:
    """Listens on a free loopback port; connects to the port behind it once per connection."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._open = asyncio.Event()
        self._open.set()
        self._delay = 0.0
        self._resetting = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._stranded: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._in_loop(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        self._in_loop(self._cut_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def black_hole(self, seconds: float) -> None:
        """What is sent arrives after all when this is over, as after a cable was out; new connections wait too."""
        self._loop.call_soon_threadsafe(self._open.clear)
        time.sleep(seconds)
        self._loop.call_soon_threadsafe(self._open.set)

    def slow_down(self, delay: float, seconds: float) -> None:
        """Each piece takes `delay` seconds longer, in each direction."""
        self._delay = delay
        time.sleep(seconds)
        self._delay = 0.0

    def reset(self, seconds: float) -> None:
        """Every connection ends with a TCP reset, and new ones do at once."""
        self._resetting = True
        self._in_loop(self._cut_all())
        time.sleep(seconds)
        self._resetting = False

    def strand(self) -> None:
        """The connections there are stay open and pass nothing on, for ever; new ones work. So dies a host or a NAT."""
        self._loop.call_soon_threadsafe(self._stranded.update, self._writers)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._resetting:
            _reset(writer)
            return
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            _reset(writer)
            return
        for source, sink, other in ((reader, back_writer, writer), (back_reader, writer, back_writer)):
            self._writers.add(sink)
            pump = self._loop.create_task(self._pump(source, sink, other))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, other: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await source.read(CHUNK):
                await self._open.wait()
                if sink in self._stranded:
                    continue
                await asyncio.sleep(self._delay)
                sink.write(data)
                await sink.drain()
        for writer in (sink, other):
            writer.close()
            self._writers.discard(writer)

    async def _cut_all(self) -> None:
        for writer in list(self._writers):
            _reset(writer)
        pumps = list(self._pumps)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self._writers.clear()

    def _in_loop(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
