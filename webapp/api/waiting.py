"""Requests that wait until the read side shows something; woken by the projection's own notifications.

A waiting request holds a thread, but no database connection and no lock. While there are any, one more thread per
process listens.
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
from sqlalchemy.orm import Session

from core.database import NOTICE_SILENCE
from core.projection.announcements import EVERY_ORDER, listen
from core.projection.projector import Projector
from core.projection.visibility import replays, shown_position, shown_version
from core.read_models.wiring import PROJECTORS
from core.safe_errors import DATABASE_ERRORS, describe
from webapp.database import has_replica, read_sessions, sessions

logger = logging.getLogger(__name__)

WAITS = "orderlog-waits"
MOST_WAITS = 8  # at a time in one process, half of its threads; above, requests answer as if their time were over
RECHECK_SECONDS = 1.0  # a notification can be lost with the listener's connection
LONGER = 1.5  # so that a lag of a replica is at most half as long again
REPLAY_SECONDS = 0.005  # the news is the primary's; a replica shows it a little later, or much later
RECONNECT_SECONDS = 1.0
IDLE_SECONDS = 30.0  # after which a listener ends that nobody needs

LISTENER: dict[str, Any] = {
    "autocommit": True,
    "connect_timeout": 3,
    "application_name": "orderlog listener",
    **NOTICE_SILENCE,
}


class Waits:
    """Make one per process, after any fork; it connects when first needed. `url` is for psycopg.

    Asked again `recheck` seconds after a wake, then after longer and longer pauses, in the end once a second."""

    def __init__(self, url: str, recheck: float = RECHECK_SECONDS) -> None:
        self._url = url
        self._recheck = recheck
        self._room = threading.BoundedSemaphore(MOST_WAITS)
        self._waiting: dict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None

    def until(self, reached: Callable[[], bool], order_id: str, seconds: float) -> bool:
        """Whether `reached` became true in time; it is asked again after each projection of this order, or of any for
        EVERY_ORDER."""
        if reached():
            return True
        if not seconds or not self._room.acquire(blocking=False):
            return False
        try:
            with self._woken(order_id) as woken:
                return _wait(reached, woken, time.monotonic() + seconds, self._recheck)
        finally:
            self._room.release()

    @contextmanager
    def _woken(self, order_id: str) -> Iterator[threading.Event]:
        woken = threading.Event()
        with self._lock:
            self._waiting[order_id].add(woken)
            if self._listener is None or not self._listener.is_alive():  # it dies of what it cannot read
                self._listener = threading.Thread(target=self._listen, name="listen", daemon=True)
                self._listener.start()
        try:
            yield woken
        finally:
            with self._lock:
                self._waiting[order_id].discard(woken)
                if not self._waiting[order_id]:
                    del self._waiting[order_id]

    def _listen(self) -> None:
        while self._is_needed():
            try:
                with psycopg.connect(self._url, **LISTENER) as connection:
                    listen(connection)
                    self._wake(EVERY_ORDER)  # for what came before
                    while self._is_needed():
                        for news in connection.notifies(timeout=IDLE_SECONDS):
                            self._wake(news.payload)
            except psycopg.OperationalError as error:
                logger.warning("Waiting requests recheck once a second until PostgreSQL is back (%s).", error)
                time.sleep(RECONNECT_SECONDS)

    def _is_needed(self) -> bool:
        with self._lock:
            if not self._waiting:
                self._listener = None  # the next who waits starts another
            return bool(self._waiting)

    def _wake(self, payload: str) -> None:
        with self._lock:
            order_ids = list(self._waiting) if payload == EVERY_ORDER else [*json.loads(payload), EVERY_ORDER]
            for order_id in order_ids:
                for woken in self._waiting.get(order_id, ()):
                    woken.set()


def order_is_shown(
    order_id: str, version: int, seconds: float, projectors: Mapping[str, Projector[Any]] = PROJECTORS
) -> bool:
    """Whether these read models all show this version of the order, now or within these seconds."""
    reached = _asks(lambda session: shown_version(session, projectors, order_id) >= version)
    return _waits().until(reached, order_id, seconds)


def position_is_shown(name: str, position: int, seconds: float) -> bool:
    """The same of a read model and every event up to this position."""

    def is_shown(session: Session) -> bool:
        shown = shown_position(session, name, PROJECTORS[name]) >= position
        if not (shown and has_replica()):
            return shown
        with sessions().begin() as primary:
            return replays(session, primary, name, position)

    reached = _asks(is_shown)
    return _waits().until(reached, EVERY_ORDER, seconds)


def _asks(question: Callable[[Session], bool]) -> Callable[[], bool]:
    """Asks it in a transaction of its own; a database that is away does not say yes."""

    def reached() -> bool:
        try:
            with read_sessions().begin() as session:
                return question(session)
        except DATABASE_ERRORS as error:
            logger.warning("Nobody can say yet whether a read model shows what is waited for (%s).", describe(error))
            return False

    return reached


def _waits() -> Waits:
    waits: Waits = current_app.extensions[WAITS]
    return waits


def _wait(reached: Callable[[], bool], woken: threading.Event, deadline: float, recheck: float) -> bool:
    pause = recheck
    while not reached():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        pause = recheck if woken.wait(min(left, pause)) else min(pause * LONGER, RECHECK_SECONDS)
        woken.clear()
    return True
