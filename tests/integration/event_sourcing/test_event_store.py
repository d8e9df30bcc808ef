"""Both stores keep the same promises."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.event_store import (
    EventStore,
    NewEvent,
    OpenStore,
    RecordedEvent,
    Snapshot,
    WrongExpectedVersion,
)
from core.event_sourcing.in_memory_store import InMemoryEventStore
from core.event_sourcing.postgres_store import stores
from core.idempotency import IdempotencyKey, KeyUsed
from core.orders.events import OrderEvent
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, LATER, MICE_ADDED, NOON, ORDER_ID, PLACED
from tests.support.lives import EVERY_EVENT


@pytest.fixture(params=["in memory", "PostgreSQL"])
def open_store(request: pytest.FixtureRequest) -> OpenStore:
    """Opens the same store each time; from any thread."""
    if request.param == "in memory":
        return InMemoryEventStore().open
    sessions: sessionmaker[Session] = request.getfixturevalue("sessions")
    return stores(sessions.kw["bind"])


def append(store: EventStore, after: int, *events: OrderEvent, order_id: str = ORDER_ID) -> list[RecordedEvent]:
    new = [NewEvent(event=event, occurred_at=LATER, metadata={"correlation_id": "c-1"}) for event in events]
    return store.append(order_id, after, new)


def versions(open_store: OpenStore, order_id: str = ORDER_ID) -> list[int]:
    with open_store() as store:
        return [recorded.version for recorded in store.read_stream(order_id)]


def test_a_stream_is_read_as_it_was_appended(open_store: OpenStore) -> None:
    with open_store() as store:
        appended = append(store, 0, *EVERY_EVENT)

    with open_store() as store:
        read = list(store.read_stream(ORDER_ID))

    assert read == appended
    assert [recorded.event for recorded in read] == EVERY_EVENT
    assert [recorded.version for recorded in read] == list(range(1, len(EVERY_EVENT) + 1))
    assert {recorded.occurred_at for recorded in read} == {LATER}
    assert {recorded.metadata["correlation_id"] for recorded in read} == {"c-1"}


def test_a_stream_can_be_read_from_a_version_on(open_store: OpenStore) -> None:
    with open_store() as store:
        append(store, 0, PLACED, LAPTOP_ADDED, MICE_ADDED)

    with open_store() as store:
        assert [recorded.version for recorded in store.read_stream(ORDER_ID, after=2)] == [3]


def test_an_unknown_stream_is_empty(open_store: OpenStore) -> None:
    assert versions(open_store, "ORDER-404") == []


def test_each_event_has_its_place_in_the_whole_log(open_store: OpenStore) -> None:
    with open_store() as store:
        [first] = append(store, 0, PLACED)
        [other] = append(store, 0, PLACED, order_id="ORDER-002")
        [second] = append(store, 1, LAPTOP_ADDED)

        assert list(store.read_stream(ORDER_ID)) == [first, second]
    assert first.position < other.position < second.position


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_appending_after_a_wrong_version_stores_nothing(open_store: OpenStore, expected: int) -> None:
    with open_store() as store:
        append(store, 0, PLACED, LAPTOP_ADDED)

    with pytest.raises(WrongExpectedVersion), open_store() as store:
        append(store, expected, MICE_ADDED, CONFIRMED)

    assert versions(open_store) == [1, 2]


def test_what_is_appended_stays_however_the_block_ends(open_store: OpenStore) -> None:
    def fail_after_appending() -> None:
        with open_store() as store:
            append(store, 0, PLACED)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_appending()

    assert versions(open_store) == [1]


def key(owner: str = "one") -> IdempotencyKey:
    return IdempotencyKey(owner=owner, key="key", request_hash=b"request", lifetime=timedelta(hours=24))


def placed_at_noon() -> list[NewEvent]:
    return [NewEvent(event=PLACED, occurred_at=NOON)]


def test_a_key_lets_one_append_through_and_belongs_to_its_owner(open_store: OpenStore) -> None:
    with open_store() as store:
        store.append("A", 0, placed_at_noon(), once=key())
        with pytest.raises(KeyUsed):
            store.append("B", 0, placed_at_noon(), once=key())
        store.append("C", 0, placed_at_noon(), once=key("other"))

    assert [versions(open_store, order_id) for order_id in "ABC"] == [[1], [], [1]]


def test_an_append_that_loses_its_race_leaves_the_key_free(open_store: OpenStore) -> None:
    with open_store() as store:
        append(store, 0, PLACED)
        for expected in (0, 2):
            with pytest.raises(WrongExpectedVersion):
                store.append(ORDER_ID, expected, placed_at_noon(), once=key())
        store.append("B", 0, placed_at_noon(), once=key())

    assert versions(open_store, "B") == [1]


def test_a_snapshot_spares_reading_what_came_before_it(open_store: OpenStore) -> None:
    snapshot = Snapshot(version=3, shape=1, occurred_at=LATER, state={"status": "pending", "items": 2})
    new = [NewEvent(event=event, occurred_at=LATER) for event in (PLACED, LAPTOP_ADDED, MICE_ADDED)]
    with open_store() as store:
        store.append(ORDER_ID, 0, new, snapshot=snapshot)
        append(store, 3, CONFIRMED)

        found, stream = store.read_from_snapshot(ORDER_ID, shape=1)
        assert found == snapshot
        assert [recorded.event for recorded in stream] == [CONFIRMED]

        found, stream = store.read_from_snapshot(ORDER_ID, shape=2)
        assert found is None
        assert [recorded.version for recorded in stream] == [1, 2, 3, 4]
    assert versions(open_store) == [1, 2, 3, 4]


def test_a_snapshot_of_another_shape_is_replaced(open_store: OpenStore) -> None:
    snapshot = Snapshot(version=1, shape=1, occurred_at=LATER, state={})
    with open_store() as store:
        store.append(ORDER_ID, 0, placed_at_noon(), snapshot=snapshot)
        new = [NewEvent(event=LAPTOP_ADDED, occurred_at=LATER)]
        store.append(ORDER_ID, 1, new, snapshot=snapshot._replace(version=2, shape=2))

        assert store.read_from_snapshot(ORDER_ID, shape=1)[0] is None
        assert store.read_from_snapshot(ORDER_ID, shape=2)[0] == snapshot._replace(version=2, shape=2)


def test_an_append_that_stores_nothing_saves_no_snapshot(open_store: OpenStore) -> None:
    snapshot = Snapshot(version=1, shape=1, occurred_at=LATER, state={})
    with open_store() as store:
        append(store, 0, PLACED)
        with pytest.raises(WrongExpectedVersion):
            store.append(ORDER_ID, 0, placed_at_noon(), snapshot=snapshot)

        assert store.read_from_snapshot(ORDER_ID, shape=1)[0] is None


def test_one_of_many_writers_at_the_same_version_wins(open_store: OpenStore) -> None:
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


def test_what_a_store_returns_cannot_change_what_it_holds(open_store: OpenStore) -> None:
    metadata = {"correlation_id": "c-1"}
    with open_store() as store:
        store.append(ORDER_ID, 0, [NewEvent(event=PLACED, occurred_at=NOON, metadata=metadata)])
    metadata["correlation_id"] = "changed"

    with open_store() as store:
        assert [recorded.metadata for recorded in store.read_stream(ORDER_ID)] == [{"correlation_id": "c-1"}]
