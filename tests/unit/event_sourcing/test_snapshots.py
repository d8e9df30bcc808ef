"""Snapshots spare a long order reading all its events, and change nothing else."""

import pytest

from core.command_handler import OrderCommandHandler
from core.event_sourcing import repository
from core.event_sourcing.event_store import NewEvent, Snapshot
from core.event_sourcing.in_memory_store import InMemoryEventStore
from core.event_sourcing.repository import SNAPSHOT_EVERY, OrderRepository
from core.orders.errors import OnlyPendingOrdersTakeItems
from core.orders.events import OrderEvent
from core.orders.order import STATE_SHAPE, Order, Status
from tests.support.examples import (
    ADD_LAPTOP,
    ADD_MICE,
    CONFIRM,
    LAPTOP_ADDED,
    LATER,
    MICE_ADDED,
    NOON,
    ORDER_ID,
    PLACED,
    SHIP,
)
from tests.support.given import given_stored
from tests.support.lives import EVERY_LIFE, replayed

OTHER_SHAPE = STATE_SHAPE + 1


def handler_of(store: InMemoryEventStore) -> OrderCommandHandler:
    return OrderCommandHandler(store.open, clock=lambda: LATER)


def snapshot_in(store: InMemoryEventStore, shape: int = STATE_SHAPE) -> Snapshot | None:
    return store.read_from_snapshot(ORDER_ID, shape)[0]


def replayed_from(store: InMemoryEventStore) -> Order:
    return replayed(tuple(recorded.event for recorded in store.read_stream(ORDER_ID)))


def given_many_items(events: int) -> InMemoryEventStore:
    return given_stored(PLACED, *[MICE_ADDED] * (events - 1))


@pytest.mark.parametrize("history", EVERY_LIFE.values(), ids=EVERY_LIFE)
def test_an_order_made_from_its_state_is_its_history_replayed(history: tuple[OrderEvent, ...]) -> None:
    order = replayed(history)
    store = given_stored()
    new = [NewEvent(event=event, occurred_at=NOON) for event in history]
    store.append(ORDER_ID, 0, new, snapshot=Snapshot(len(history), STATE_SHAPE, NOON, order.state()))

    loaded = OrderRepository(store).load(ORDER_ID)

    assert vars(loaded.order) == vars(order)
    assert (loaded.last_event_at, loaded.replayed) == (NOON, 0)


def test_the_command_that_had_to_read_many_events_leaves_a_snapshot() -> None:
    store = given_many_items(SNAPSHOT_EVERY - 2)
    handler_of(store).handle(ADD_LAPTOP)
    assert snapshot_in(store) is None

    handler_of(store).handle(ADD_LAPTOP)

    snapshot = snapshot_in(store)
    assert snapshot is not None
    assert (snapshot.version, snapshot.occurred_at) == (SNAPSHOT_EVERY, LATER)
    assert snapshot.state == replayed_from(store).state()


def test_no_command_reads_more_events_than_that_again() -> None:
    store = given_many_items(7 * SNAPSHOT_EVERY)
    read = []
    for _ in range(2 * SNAPSHOT_EVERY):
        handler_of(store).handle(ADD_MICE)
        read.append(OrderRepository(store).load(ORDER_ID).replayed)

    assert max(read) < SNAPSHOT_EVERY
    assert read.count(0) >= 2


def test_what_an_order_decides_does_not_depend_on_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = []
    for every in (1, 2, SNAPSHOT_EVERY):
        monkeypatch.setattr(repository, "SNAPSHOT_EVERY", every)
        store = given_many_items(3)
        for command in (ADD_LAPTOP, ADD_MICE, CONFIRM):
            handler_of(store).handle(command)
        with pytest.raises(OnlyPendingOrdersTakeItems):
            handler_of(store).handle(ADD_LAPTOP)
        handler_of(store).handle(SHIP)
        stored.append([(recorded.version, recorded.event) for recorded in store.read_all()])

    assert stored[0] == stored[1] == stored[2]
    assert len(stored[0]) == 7


def test_a_snapshot_of_another_shape_is_thrown_away_and_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    store = given_many_items(SNAPSHOT_EVERY)
    handler_of(store).handle(ADD_MICE)
    assert snapshot_in(store) is not None

    monkeypatch.setattr(repository, "STATE_SHAPE", OTHER_SHAPE)
    loaded = OrderRepository(store).load(ORDER_ID)
    assert (loaded.replayed, vars(loaded.order)) == (SNAPSHOT_EVERY + 1, vars(replayed_from(store)))
    handler_of(store).handle(ADD_MICE)

    assert snapshot_in(store) is None
    made = snapshot_in(store, OTHER_SHAPE)
    assert made is not None
    assert made.version == SNAPSHOT_EVERY + 2


def test_the_events_after_a_snapshot_are_applied_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "SNAPSHOT_EVERY", 3)
    store = given_stored(PLACED, LAPTOP_ADDED)
    for command in (ADD_MICE, CONFIRM, SHIP):
        handler_of(store).handle(command)

    order, last_event_at, replayed = OrderRepository(store).load(ORDER_ID)

    assert (order.status, order.version, replayed) == (Status.SHIPPED, 5, 2)
    assert vars(order) == vars(replayed_from(store))
    assert last_event_at == LATER
