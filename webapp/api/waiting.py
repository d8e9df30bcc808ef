"""Requests that wait until the read side shows something: asked again at each news of a projection, and by and by.

A waiting request holds a thread, but no database connection and no lock. While there are any, one more thread per
process listens for the news. A notification can be lost with the listener's connection, and a pooler passes none on, so
the clock is a fallback.
"""

import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from flask import current_app
from sqlalchemy.orm import Session, sessionmaker

from core.database import connection_arguments, has_pooler
from core.projection.announcements import EVERY_ORDER, listen
from core.projection.read_model import ReadModel
from core.projection.status import replays, shown_position, shown_version
from core.read_models.wiring import PROJECTORS
from core.safe_errors import DATABASE_ERRORS, describe
from webapp.database import has_replica, read_sessions, sessions

logger = logging.getLogger(__name__)

# What `Prefer: wait` waits for. A later read model shows other things, and must not make these requests slower.
WAITED_FOR = {name: PROJECTORS[name] for name in ("summary", "details")}

WAITS = "orderlog-waits"
LISTENER = "orderlog listener"
MOST_WAITS = 8  # at a time in one process, half of its threads; above, requests answer as if their time were over
RECHECK_SECONDS = 1.0  # the longest pause between two questions
FEED_WAITS = "orderlog-feed-waits"
MOST_FEED_WAITS = 4  # beside the others, so that followers never take what commands may use, nor the last threads
FEED_RECHECK_SECONDS = 0.2  # what an event costs whose projection is late; nothing else tells of it
LONGER = 1.5  # so that a lag of a replica is at most half as long again
FIRST_RECHECK_SECONDS = 0.005  # where no news comes, or comes before a replica shows it
RECONNECT_SECONDS = 1.0
IDLE_SECONDS = 30.0  # after which a listener ends that nobody needs


def order_is_shown(
    order_id: str, version: int, seconds: float, projectors: Mapping[str, ReadModel[Any]] = WAITED_FOR
) -> bool:
    """Whether these read models all show this version of the order, now or within these seconds."""

    def is_shown(session: Session) -> bool:
        return shown_version(session, projectors, order_id) >= version

    waits: Waits = current_app.extensions[WAITS]
    return waits.until(is_shown, order_id, seconds)


def position_is_shown(name: str, position: int, seconds: float) -> bool:
    """The same of a read model and every event up to this position."""

    def is_shown(session: Session) -> bool:
        shown = shown_position(session, name, PROJECTORS[name]) >= position
        if not (shown and has_replica()):
            return shown
        with sessions().begin() as primary:
            return replays(session, primary, name, position)

    waits: Waits = current_app.extensions[WAITS]
    return waits.until(is_shown, EVERY_ORDER, seconds)


def feed_has_news(question: Callable[[Session], bool], seconds: float) -> bool:
    """Whether the answer is yes within these seconds; it is asked on the primary, where the events are."""
    waits: Waits = current_app.extensions[FEED_WAITS]
    return waits.until(question, EVERY_ORDER, seconds)


class Waits:
    """The waiting requests of a process, and the thread that wakes them. Make it after any fork.

    `listen_url` is None where only a pooler can be reached; `replays` says that news comes before it can be seen. After
    news a request asks again at once, and then after longer and longer pauses up to `longest`. `most` may wait at a
    time."""

    def __init__(
        self,
        listen_url: str | None,
        *,
        replays: bool = False,
        longest: float = RECHECK_SECONDS,
        most: int = MOST_WAITS,
        ask_in: Callable[[], sessionmaker[Session]] = read_sessions,
    ) -> None:
        self._url = listen_url
        self._recheck = FIRST_RECHECK_SECONDS if replays or listen_url is None else longest
        self._longest = longest
        self._ask_in = ask_in
        self._room = threading.BoundedSemaphore(most)
        self._waiting: dict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None

    def until(self, question: Callable[[Session], bool], order_id: str, seconds: float) -> bool:
        """Whether the answer is yes within these seconds; it may change with each projection of this order, or of any
        for EVERY_ORDER."""
        if self._says_yes(question):
            return True
        if not seconds or not self._room.acquire(blocking=False):
            return False
        deadline, pause = time.monotonic() + seconds, self._recheck
        try:
            with self._news_of(order_id) as news:
                while not self._says_yes(question):
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return False
                    told = news.wait(min(left, pause))
                    pause = self._recheck if told else min(pause * LONGER, self._longest)
                    news.clear()
                return True
        finally:
            self._room.release()

    @contextmanager
    def _news_of(self, order_id: str) -> Iterator[threading.Event]:
        """Set whenever the order has been projected while the block runs."""
        news = threading.Event()
        with self._lock:
            self._waiting[order_id].add(news)
            # An error that _listen does not catch ends it.
            if self._url and (self._listener is None or not self._listener.is_alive()):
                self._listener = threading.Thread(target=self._listen, name="listen", daemon=True)
                self._listener.start()
        try:
            yield news
        finally:
            with self._lock:
                self._waiting[order_id].discard(news)
                if not self._waiting[order_id]:
                    del self._waiting[order_id]

    def _listen(self) -> None:
        while self._url and self._is_needed():
            try:
                with psycopg.connect(**connection_arguments(self._url, LISTENER), autocommit=True) as connection:
                    if has_pooler(connection):
                        self._do_without()
                        return
                    listen(connection)
                    self._wake(EVERY_ORDER)  # some may have been projected before it listened
                    while self._is_needed():
                        for notification in connection.notifies(timeout=IDLE_SECONDS):
                            self._wake(notification.payload)
            except psycopg.OperationalError as error:
                logger.warning("Waiting requests recheck once a second until PostgreSQL is back (%s).", describe(error))
                time.sleep(RECONNECT_SECONDS)

    def _do_without(self) -> None:
        logger.info("A pooler passes no news on, so waiting requests recheck often; DATABASE_DIRECT_URL avoids that.")
        self._url, self._recheck = None, FIRST_RECHECK_SECONDS
        self._wake(EVERY_ORDER)  # who waits a second

    def _is_needed(self) -> bool:
        with self._lock:
            if not self._waiting:
                self._listener = None  # the next who waits starts another
            return bool(self._waiting)

    def _wake(self, payload: str) -> None:
        with self._lock:
            order_ids = list(self._waiting) if payload == EVERY_ORDER else [*json.loads(payload), EVERY_ORDER]
            for order_id in order_ids:
                for news in self._waiting.get(order_id, ()):
                    news.set()

    def _says_yes(self, question: Callable[[Session], bool]) -> bool:
        """The answer, in a transaction of its own; a database that is away does not say yes."""
        try:
            with self._ask_in().begin() as session:
                return question(session)
        except DATABASE_ERRORS as error:
            logger.warning("A waiting request could not read what it waits for, and tries again (%s).", describe(error))
            return False


def feed_waits(listen_url: str | None) -> Waits:
    """Those of followers, which look again and again: an event that no worker projects must not be late."""
    return Waits(listen_url, longest=FEED_RECHECK_SECONDS, most=MOST_FEED_WAITS, ask_in=sessions)
