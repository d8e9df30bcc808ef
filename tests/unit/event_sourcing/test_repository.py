"""Loading an order from its stream and saving what it has decided."""

import pytest

from core.event_sourcing.event_store import NewEvent, WrongExpectedVersion
from core.event_sourcing.repository import OrderRepository
from core.orders.errors import OrderNotFound
from core.orders.events import OrderEvent
from core.orders.order import Order, Status
from tests.support.examples import (
    CANCELLED,
    CONFIRMED,
    LAPTOP_ADDED,
    LATER,
    MICE_ADDED,
    NOON,
    ORDER_ID,
    PLACED,
)
from tests.support.given import given_stored
from tests.support.lives import EVERY_LIFE, replayed


def cancel(order: Order) -> None:
    order.cancel(reason="顧客都合によるキャンセル", now=CANCELLED.cancelled_at)


def add_mice(order: Order) -> None:
    order.add_item(product_name="マウス", quantity=2, unit_price=1500, now=MICE_ADDED.added_at)


@pytest.mark.parametrize("history", EVERY_LIFE.values(), ids=EVERY_LIFE)
def test_a_loaded_order_is_its_history_replayed(history: tuple[OrderEvent, ...]) -> None:
    assert vars(OrderRepository(given_stored(*history)).load(ORDER_ID).order) == vars(replayed(history))


def test_a_loaded_order_says_when_its_last_event_happened() -> None:
    store = given_stored(PLACED)
    store.append(ORDER_ID, 1, [NewEvent(event=CANCELLED, occurred_at=LATER)])

    assert OrderRepository(store).load(ORDER_ID).last_event_at == LATER


def test_an_order_without_events_is_not_there() -> None:
    orders = OrderRepository(given_stored(PLACED))

    with pytest.raises(OrderNotFound, match=r"^There is no order 'ORDER-404'\.$"):
        orders.load("ORDER-404")


def test_saving_appends_all_that_was_decided_in_order() -> None:
    store = given_stored(PLACED, LAPTOP_ADDED)
    orders = OrderRepository(store)
    order = orders.load(ORDER_ID).order
    add_mice(order)
    order.confirm(now=CONFIRMED.confirmed_at)

    recorded = orders.save(order, now=LATER, metadata={"correlation_id": "c-1"})

    assert [(each.version, each.event) for each in recorded] == [(3, MICE_ADDED), (4, CONFIRMED)]
    assert {(each.occurred_at, each.metadata["correlation_id"]) for each in recorded} == {(LATER, "c-1")}
    assert list(store.read_stream(ORDER_ID, after=2)) == recorded


def test_a_saved_order_can_decide_and_be_saved_again() -> None:
    store = given_stored(PLACED)
    orders = OrderRepository(store)
    order = orders.load(ORDER_ID).order
    add_mice(order)
    orders.save(order, now=NOON, metadata={})
    cancel(order)

    [recorded] = orders.save(order, now=LATER, metadata={})

    assert (recorded.version, recorded.event, order.uncommitted_events) == (3, CANCELLED, [])


def test_an_order_that_decided_nothing_stores_nothing() -> None:
    store = given_stored(PLACED)
    orders = OrderRepository(store)

    assert orders.save(orders.load(ORDER_ID).order, now=LATER, metadata={}) == []
    assert len(list(store.read_all())) == 1


def test_an_order_changed_since_it_was_loaded_is_not_saved() -> None:
    store = given_stored(PLACED)
    orders = OrderRepository(store)
    early, late = orders.load(ORDER_ID).order, orders.load(ORDER_ID).order
    cancel(early)
    orders.save(early, now=LATER, metadata={})
    add_mice(late)

    with pytest.raises(WrongExpectedVersion, match=r"^The stream of ORDER-001 is no longer at version 1\.$"):
        orders.save(late, now=LATER, metadata={})

    assert orders.load(ORDER_ID).order.status is Status.CANCELLED
    assert late.uncommitted_events == [MICE_ADDED]
