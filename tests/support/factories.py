"""The application with a fault at an exact place, or telling how far it is; made by the web server's own process."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event
from typing import Any
from unittest.mock import patch

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core.database import driver_connection
from core.event_sourcing.event_store import EventStore, OpenStore, RecordedEvent
from core.event_sourcing.postgres_store import PostgresEventStore
from webapp import create_app
from webapp.api import commands, streams
from webapp.api.waiting import Waits
from worker.enqueue import Enqueuer


def die_once(flag: Path) -> None:
    """`kill -9` of this process, if the flag is there; it is not there for the next."""
    if flag.exists():
        flag.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


class DyingEnqueuer(Enqueuer):
    def __init__(self, before: Callable[[], None]) -> None:
        super().__init__()
        self._before = before

    def enqueue(self, recorded: Iterable[RecordedEvent]) -> None:
        self._before()
        super().enqueue(recorded)


def dies_after_commit() -> Flask:
    """The event and the key are committed; the hint is not sent and the client has no answer."""
    application = create_app()
    application.extensions[commands.ENQUEUER] = DyingEnqueuer(lambda: die_once(Path(os.environ["DIE"])))
    return application


def dies_before_commit() -> Flask:
    """The event and the key are written in a transaction that nobody commits."""
    patch.object(commands, "stores", dying_stores).start()
    return create_app()


def dying_stores(engine: Engine) -> OpenStore:
    @contextmanager
    def open_store() -> Iterator[EventStore]:
        with Session(engine) as session, session.begin():
            yield PostgresEventStore(driver_connection(session))
            die_once(Path(os.environ["DIE"]))

    return open_store


def tells_of_waits() -> Flask:
    """Each request that begins to wait adds a byte to the file that WAITS names."""
    patch.object(Waits, "_news_of", told_of(Path(os.environ["WAITS"]), Waits._news_of)).start()
    return create_app()


def told_of(file: Path, news_of: Callable[[Waits, str], AbstractContextManager[Event]]) -> Any:
    @contextmanager
    def telling(waits: Waits, order_id: str) -> Iterator[Event]:
        with news_of(waits, order_id) as news:
            with file.open("a") as begun:
                begun.write(".")
            yield news

    return telling


def streams_hurriedly() -> Flask:
    """What a stream does after half a minute it does at once."""
    for name, seconds in (("HEARTBEAT_SECONDS", 0.2), ("KEY_SECONDS", 0.2), ("SEND_SECONDS", 2.0)):
        patch.object(streams, name, seconds).start()
    return create_app()
