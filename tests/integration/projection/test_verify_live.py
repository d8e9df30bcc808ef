"""Verify tells the truth while commands, hints and catch-up go on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.streams import IdRange
from core.orders.events import OrderEvent
from core.projection import verify as module
from core.projection import writer
from core.projection.catch_up import catch_up
from core.projection.verify import verify
from core.read_models.wiring import PROJECTORS
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, MICE_ADDED, PLACED
from tests.support.failing import THRICE
from tests.support.read_side import project_all, value
from tests.support.streams import append

LIFE: list[OrderEvent] = [PLACED, LAPTOP_ADDED, MICE_ADDED, CONFIRMED]


def write(sessions: sessionmaker[Session], writer: str, done: threading.Event) -> None:
    """Orders whose hints are lost every third time; every seventh order has an event that cannot be applied."""
    for number in count():
        order_id = f"{writer}-{number}"
        for version, event in enumerate([*LIFE, PLACED] if number % 7 == 0 else LIFE):
            if done.is_set():
                return
            append(sessions, [event], order_id=order_id, after=version)
            if (number + version) % 3:
                project_all(sessions, order_id)


def keep_catching_up(sessions: sessionmaker[Session], done: threading.Event) -> None:
    while not done.is_set():
        for name, projector in PROJECTORS.items():
            catch_up(sessions, name, projector, THRICE)
        done.wait(0.1)


@contextmanager
def running(*threads: threading.Thread, done: threading.Event) -> Iterator[None]:
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_live_writes_are_no_differences(sessions: sessionmaker[Session]) -> None:
    done = threading.Event()
    writers = [threading.Thread(target=write, args=(sessions, name, done)) for name in ("A", "B")]
    catching_up = threading.Thread(target=keep_catching_up, args=(sessions, done))
    found = []

    with running(*writers, catching_up, done=done):
        while value(sessions, "SELECT count(*) FROM events") < 200:
            found.append(verify(sessions, PROJECTORS, IdRange()))

    assert [part.differences for part in found if part.differences] == []
    assert [part.broken for part in found if part.broken] == []
    assert len(found) > 10
    assert sum(part.behind for part in found) > 0
    assert found[-1].rows > 30


def test_rows_are_compared_with_events_of_the_same_moment(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are read only after more has been stored and projected."""
    append(sessions, [PLACED])
    catch_up(sessions, "summary", PROJECTORS["summary"])

    def read_late(*args: Any) -> writer.Stored:
        append(sessions, [LAPTOP_ADDED], after=1)
        append(sessions, [PLACED], order_id="ORDER-002")
        catch_up(sessions, "summary", PROJECTORS["summary"])
        return writer.read_stored(*args)

    monkeypatch.setattr(module, "read_stored", read_late)
    found = verify(sessions, {"summary": PROJECTORS["summary"]}, IdRange())

    assert (found.rows, found.differences) == (1, [])
