"""Both stores keep the same promises."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.event_store import EventStore, NewEvent, RecordedEvent, Transaction, WrongExpectedVersion
from core.event_sourcing.in_memory_store import InMemoryEventStore
from core.event_sourcing.postgres_store import transaction
from core.orders.events import OrderEvent
from tests.examples import CONFIRMED, EVERY_EVENT, LAPTOP_ADDED, LATER, MICE_ADDED, NOON, ORDER_ID, PLACED


@pytest.fixture(params=["in memory", "PostgreSQL"])
def open_store(request: pytest.FixtureRequest) -> Iterator[Transaction]:
    """Opens a transaction on the same store each time; from any thread."""
    if request.param == "in memory":
        yield InMemoryEventStore().transaction
        return
    sessions: sessionmaker[Session] = request.getfixturevalue("sessions")

    @contextmanager
    def open_in_own_session() -> Iterator[EventStore]:
        with transaction(sessions())() as store:
            yield store

    yield open_in_own_session


def append(store: EventStore, after: int, *events: OrderEvent, order_id: str = ORDER_ID) -> list[RecordedEvent]:
    new = [NewEvent(event=event, occurred_at=LATER, metadata={"correlation_id": "c-1"}) for event in events]
    return store.append(order_id, after, new)


def versions(open_store: Transaction, order_id: str = ORDER_ID) -> list[int]:
    with open_store() as store:
        return [recorded.version for recorded in store.read_stream(order_id)]


def test_a_stream_is_read_as_it_was_appended(open_store: Transaction) -> None:
    with open_store() as store:
        appended = append(store, 0, *EVERY_EVENT)

    with open_store() as store:
        read = list(store.read_stream(ORDER_ID))

    assert read == appended
    assert [recorded.event for recorded in read] == EVERY_EVENT
    assert [recorded.version for recorded in read] == [1, 2, 3, 4, 5]
    assert {recorded.occurred_at for recorded in read} == {LATER}
    assert {recorded.metadata["correlation_id"] for recorded in read} == {"c-1"}


def test_a_stream_can_be_read_from_a_version_on(open_store: Transaction) -> None:
    with open_store() as store:
        append(store, 0, PLACED, LAPTOP_ADDED, MICE_ADDED)

    with open_store() as store:
        assert [recorded.version for recorded in store.read_stream(ORDER_ID, after=2)] == [3]


def test_an_unknown_stream_is_empty(open_store: Transaction) -> None:
    assert versions(open_store, "ORDER-404") == []


def test_the_log_holds_every_stream_by_position(open_store: Transaction) -> None:
    with open_store() as store:
        append(store, 0, PLACED)
        append(store, 0, PLACED, order_id="ORDER-002")
        append(store, 1, LAPTOP_ADDED)

    with open_store() as store:
        log = list(store.read_all())

    assert [recorded.aggregate_id for recorded in log] == [ORDER_ID, "ORDER-002", ORDER_ID]
    assert sorted(recorded.position for recorded in log) == [recorded.position for recorded in log]
    assert len({recorded.position for recorded in log}) == 3


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_appending_after_a_wrong_version_stores_nothing(open_store: Transaction, expected: int) -> None:
    with open_store() as store:
        append(store, 0, PLACED, LAPTOP_ADDED)

    with pytest.raises(WrongExpectedVersion), open_store() as store:
        append(store, expected, MICE_ADDED, CONFIRMED)

    assert versions(open_store) == [1, 2]


def test_a_block_that_raises_stores_nothing(open_store: Transaction) -> None:
    def fail_after_appending() -> None:
        with open_store() as store:
            append(store, 0, PLACED)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_appending()

    assert versions(open_store) == []


def test_one_of_many_writers_at_the_same_version_wins(open_store: Transaction) -> None:
    writers = 8
    with open_store() as store:
        append(store, 0, PLACED)
    barrier = Barrier(writers)

    def write(_: int) -> bool:
        barrier.wait()
        try:
            with open_store() as store:
                append(store, 1, MICE_ADDED)
        except WrongExpectedVersion:
            return False
        return True

    with ThreadPoolExecutor(writers) as threads:
        won = list(threads.map(write, range(writers)))

    assert won.count(True) == 1
    assert versions(open_store) == [1, 2]


def test_what_a_store_returns_cannot_change_what_it_holds(open_store: Transaction) -> None:
    metadata = {"correlation_id": "c-1"}
    with open_store() as store:
        store.append(ORDER_ID, 0, [NewEvent(event=PLACED, occurred_at=NOON, metadata=metadata)])
    metadata["correlation_id"] = "changed"

    with open_store() as store:
        assert [recorded.metadata for recorded in store.read_stream(ORDER_ID)] == [{"correlation_id": "c-1"}]
