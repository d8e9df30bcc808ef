"""Live streams of events (Server-Sent Events): one reader per process reads each settled event once, for all of them.

A stream first reads pages from its cursor on, in threads that no request needs, and then joins the others. It holds
neither a thread nor a database connection. Everything here runs in the event loop but for what says otherwise.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from flask import Flask

from core import api_keys
from core.database import connection_arguments, driver_connection, has_pooler
from core.event_sourcing.cloud_events import cloud_event
from core.event_sourcing.codec import UnknownEventType
from core.event_sourcing.feed import Cursor, CursorOfAnotherLog, FeedEvent, FeedFilter, FeedPage, encode, read_feed
from core.projection.announcements import listen
from core.safe_errors import DATABASE_ERRORS, describe
from webapp.api.waiting import LISTENER, RECONNECT_SECONDS
from webapp.database import sessions

logger = logging.getLogger(__name__)

OPEN_STREAM = "orderlog.open_stream"  # in WSGI's environ, where the server can go on with a stream: `Streams.open`

PAGE = 200  # events that are read and sent at a time
READERS = 2  # threads that read pages for streams which are behind
MOST_WAITING = 1000  # events that wait for a stream whose client is slow; more end it
SEND_SECONDS = 30.0  # after which a client that takes nothing is given up
POLL_SECONDS = 0.1  # what an event costs whose projection is late; nothing else tells of it
PAUSE_SECONDS = 0.02  # or each of many projections would be followed by a read of its own
DRAIN_SECONDS = 1.0  # for which a client that falls behind may delay the others
HEARTBEAT_SECONDS = 15.0
KEY_SECONDS = 30.0  # how long a revoked key may still have a stream
RETRY = "retry: 1000\n\n"  # milliseconds until a client comes back

Message = tuple[Cursor, bytes]


class StreamsFull(Exception):
    """The process has as many streams as it may have, or is stopping."""

    def __init__(self) -> None:
        super().__init__("As many streams are open here as may be.")


@dataclass(eq=False, slots=True, kw_only=True)
class Stream:
    """One client's. Everything up to its cursor has been sent."""

    cursor: Cursor
    matching: FeedFilter
    key_id: str | None
    waiting: deque[Message] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


def message(event: FeedEvent, cursor: Cursor) -> str:
    """JSON text has no line ends. Raises UnknownEventType."""
    return f"id: {encode(cursor)}\nevent: {event.event_type}\ndata: {cloud_event(event)}\n\n"


def passed(cursor: Cursor) -> str:
    """An id alone is no event; by it a client that wants few of them comes back to where it is."""
    return f":\nid: {encode(cursor)}\n\n"


def text_of(page: FeedPage, after: Cursor) -> str:
    """Its events; without any, how far it has come. Raises UnknownEventType."""
    text = "".join(message(event, event.cursor) for event in page.events)
    return text or (passed(page.next_cursor) if page.next_cursor > after else "")


class Streams:
    """Those of a process, at most so many. Make it after any fork; `url` leads past a pooler if it can."""

    def __init__(self, app: Flask, url: str, most: int) -> None:
        self._app = app
        self._url = url
        self._most = most
        self._open: set[Stream] = set()
        self._lock = threading.Lock()  # of what is open
        self._stopping = False
        self._pages = ThreadPoolExecutor(READERS, thread_name_prefix="stream-pages")
        self._joined: set[Stream] = set()
        self._cursor: Cursor | None = None  # up to which the joined ones have all
        self._reader: threading.Thread | None = None

    def open(self, after: Cursor, matching: FeedFilter, key_id: str | None) -> Stream:
        """A place for one, until it is closed; called by the thread of a request. Raises StreamsFull."""
        with self._lock:
            if self._stopping or len(self._open) >= self._most:
                raise StreamsFull
            stream = Stream(cursor=after, matching=matching, key_id=key_id)
            self._open.add(stream)
            return stream

    def close(self, stream: Stream) -> None:
        """Give its place back."""
        with self._lock:
            self._open.discard(stream)

    def stop(self) -> None:
        """End all of them: their clients come back to another process."""
        with self._lock:
            self._stopping = True
            for stream in self._open:
                stream.ended.set()

    async def serve(self, stream: Stream, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        """Until the client is gone or too slow, its key ends, or the process stops. The head has been sent."""
        work = (self._write(stream, send), _client_gone(receive), stream.ended.wait(), self._key_ends(stream))
        tasks = [asyncio.ensure_future(each) for each in work]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._joined.discard(stream)
            for task in tasks:
                task.cancel()
        for failure in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(failure, Exception):
                logger.warning("A stream has ended (%s); its client can come back.", describe(failure))
        await send({"type": "http.response.body"})

    async def _write(self, stream: Stream, send: Any) -> None:
        """From its cursor: what there is by pages, then what comes. It joins before the last page: nothing is missed,
        and what comes twice is left out."""
        loop, at_end = asyncio.get_running_loop(), False
        while not (at_end and stream in self._joined):
            if at_end:
                self._join(stream)
            text, stream.cursor, at_end = await loop.run_in_executor(self._pages, self._page, stream)
            await _send(send, text)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await stream.news.wait()
            stream.news.clear()
            new = [each for each in stream.waiting if each[0] > stream.cursor]
            stream.waiting.clear()
            reached = max(stream.cursor, self._cursor or stream.cursor)
            if new:
                text = b"".join(text for _, text in new)
            else:
                text = passed(reached).encode() if reached > stream.cursor else b":\n\n"
            stream.cursor = new[-1][0] if new else reached
            await _send(send, text)

    def _page(self, stream: Stream) -> tuple[bytes, Cursor, bool]:
        """The next one, how far it goes, and whether it is the last; in a thread."""
        with self._app.app_context(), sessions().begin() as session:
            page = read_feed(driver_connection(session), stream.cursor, PAGE, stream.matching)
        return text_of(page, stream.cursor).encode(), page.next_cursor, page.at_end

    async def _key_ends(self, stream: Stream) -> None:
        """Returns when the key has been revoked or has expired."""
        loop, valid = asyncio.get_running_loop(), True
        while valid:
            await asyncio.sleep(KEY_SECONDS)
            if stream.key_id is not None:
                valid = await loop.run_in_executor(self._pages, self._is_valid, stream.key_id)

    def _is_valid(self, key_id: str) -> bool:
        """In a thread; a database that is away does not end a key."""
        try:
            with self._app.app_context(), sessions().begin() as session:
                return api_keys.is_valid(session, key_id, now=datetime.now(UTC))
        except DATABASE_ERRORS:
            return True

    def _join(self, stream: Stream) -> None:
        """From now on it gets what the reader reads."""
        self._joined.add(stream)
        if self._reader is None:
            self._start_reader(stream.cursor)

    def _start_reader(self, after: Cursor) -> None:
        self._cursor = after
        self._reader = threading.Thread(
            target=self._read, args=(asyncio.get_running_loop(), after), name="stream-reader", daemon=True
        )
        self._reader.start()

    def _read(self, loop: asyncio.AbstractEventLoop, cursor: Cursor) -> None:
        """In a thread, with a connection of its own, for as long as there are streams that want it."""
        failed = True
        try:
            while self._joined:
                try:
                    with psycopg.connect(**connection_arguments(self._url, LISTENER), autocommit=True) as connection:
                        connection.execute("SET TimeZone = 'UTC'")  # poolers keep this one
                        if not has_pooler(connection):  # which passes no news on
                            listen(connection)
                        while self._joined:
                            cursor = self._read_on(loop, connection, cursor)
                except psycopg.OperationalError as error:
                    logger.warning("Streams wait until PostgreSQL is back (%s).", describe(error))
                    time.sleep(RECONNECT_SECONDS)
            failed = False
        except (CursorOfAnotherLog, UnknownEventType) as error:
            logger.error("Streams end, as their reader cannot go on (%s).", describe(error))
        finally:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._reader_ended, failed)

    def _read_on(self, loop: asyncio.AbstractEventLoop, connection: psycopg.Connection[Any], cursor: Cursor) -> Cursor:
        """A page, which wakes the streams; or wait for news. Returns how far it has come."""
        page = read_feed(connection, cursor, PAGE)
        if page.events:
            cursors = [event.cursor for event in page.events]
            texts = map(message, page.events, cursors)
            messages = [(at, text.encode()) for at, text in zip(cursors, texts, strict=True)]
            asyncio.run_coroutine_threadsafe(self._hand_out(page.events, messages), loop).result()
        if page.at_end:
            deque(connection.notifies(timeout=POLL_SECONDS, stop_after=1), maxlen=0)
            time.sleep(PAUSE_SECONDS)
        return page.next_cursor

    async def _hand_out(self, events: list[FeedEvent], messages: list[Message]) -> None:
        """And give them time to send it: many events at once make no client slow."""
        self._cursor = messages[-1][0]
        for stream in self._joined:
            wanted = [each for event, each in zip(events, messages, strict=True) if stream.matching.takes(event)]
            if wanted:
                stream.waiting += wanted
                stream.news.set()
            if len(stream.waiting) > MOST_WAITING:
                stream.ended.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while any(len(stream.waiting) > PAGE for stream in self._joined):
                    await asyncio.sleep(0.01)

    def _reader_ended(self, failed: bool) -> None:
        self._reader = None
        if failed:
            for stream in self._joined:
                stream.ended.set()
        elif self._joined and self._cursor is not None:  # one has joined just then
            self._start_reader(self._cursor)


async def _send(send: Any, text: bytes) -> None:
    """Raises TimeoutError if the client takes nothing for long."""
    if text:
        async with asyncio.timeout(SEND_SECONDS):
            await send({"type": "http.response.body", "body": text, "more_body": True})


async def _client_gone(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
