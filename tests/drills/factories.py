"""The web application with one part replaced, for drills that need a fault at an exact place of a command.

Each is made by the WSGI server's process; none changes which events are stored."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core.database import driver_connection
from core.event_sourcing import repository
from core.event_sourcing.event_store import NewEvent, OpenStore, RecordedEvent
from core.event_sourcing.postgres_store import PostgresEventStore
from core.orders.events import OrderCancelled, OrderShipped
from webapp import create_app
from webapp.api import commands
from worker.enqueue import Enqueuer

HELD_OPEN = 0.3
SNAPSHOT_EVERY = 3  # events


def dice(recorded: Sequence[RecordedEvent]) -> random.Random:
    """Fixed by the drill's seed and the event's place in the log, whichever process stores it."""
    return random.Random(f"{os.environ['DRILL_SEED']} {recorded[-1].position}")


class DrillEnqueuer(Enqueuer):
    """Does what the drill says before, or instead of, the sending."""

    def __init__(self, before: Callable[[Sequence[RecordedEvent]], bool]) -> None:
        super().__init__()
        self._before = before

    def enqueue(self, recorded: Iterable[RecordedEvent]) -> None:
        stored = list(recorded)
        if self._before(stored):
            super().enqueue(stored)


def early_snapshots() -> Flask:
    """The service's own, with snapshots of orders as short as those of the load; all the others are made of it."""
    patch.object(repository, "SNAPSHOT_EVERY", SNAPSHOT_EVERY).start()
    return create_app()


def dies_before_enqueue() -> Flask:
    """Now and then the process kills itself when the event is committed and its hint not sent; and writes that down."""
    odds, record = float(os.environ["DIE_ONE_IN"]), Path(os.environ["DEATHS"])
    application = early_snapshots()

    def perhaps_die(stored: Sequence[RecordedEvent]) -> bool:
        if dice(stored).random() < 1 / odds:
            with record.open("a") as deaths:
                deaths.write(f"{os.getpid()}\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    application.extensions[commands.ENQUEUER] = DrillEnqueuer(perhaps_die)
    return application


def sends_no_hints() -> Flask:
    application = early_snapshots()
    application.extensions[commands.ENQUEUER] = DrillEnqueuer(lambda _: False)
    return application


def commits_late() -> Flask:
    """Sends no hints, and holds many of the transactions that end an order open between their insert and commit."""
    patch.object(commands, "stores", late_stores).start()
    return sends_no_hints()


class LateStore(PostgresEventStore):
    """No later event of the order brings up what catch-up would have passed over here."""

    def append(
        self, aggregate_id: str, expected_version: int, events: Sequence[NewEvent], **beside: Any
    ) -> list[RecordedEvent]:
        recorded = super().append(aggregate_id, expected_version, events, **beside)
        chance = dice(recorded)
        if isinstance(events[-1].event, OrderShipped | OrderCancelled) and chance.random() < HELD_OPEN:
            time.sleep(chance.uniform(1, 3))
        return recorded


def late_stores(engine: Engine) -> OpenStore:
    @contextmanager
    def open_store() -> Iterator[PostgresEventStore]:
        with Session(engine) as session, session.begin():
            yield LateStore(driver_connection(session))

    return open_store
