"""Confirming: only a pending order, and only with an item."""

import pytest

from core.orders.errors import EmptyOrderCannotBeConfirmed, OnlyPendingOrdersCanBeConfirmed
from core.orders.events import OrderEvent
from core.orders.order import Order, Status
from tests.support.examples import CANCELLED, CONFIRMED, LAPTOP_ADDED, MICE_ADDED, PLACED, SHIPPED
from tests.support.given import given


def confirm(order: Order) -> None:
    order.confirm(now=CONFIRMED.confirmed_at)


def test_one_item_is_enough() -> None:
    order = given(PLACED, LAPTOP_ADDED).when(confirm).then(CONFIRMED)

    assert (order.status, order.version) == (Status.CONFIRMED, 3)


def test_an_order_with_several_items_is_confirmed() -> None:
    given(PLACED, LAPTOP_ADDED, MICE_ADDED).when(confirm).then(CONFIRMED)


def test_an_empty_order_cannot_be_confirmed() -> None:
    refusal = given(PLACED).when(confirm).refused(EmptyOrderCannotBeConfirmed)

    assert refusal.status == "pending"
    assert str(refusal) == (
        "Order ORDER-001 is pending; it has no items, and only an order with at least one can be confirmed."
    )


@pytest.mark.parametrize("status", ["confirmed", "shipped", "cancelled"])
def test_an_order_that_is_no_longer_pending_cannot_be_confirmed(status: str) -> None:
    history: dict[str, list[OrderEvent]] = {
        "confirmed": [CONFIRMED],
        "shipped": [CONFIRMED, SHIPPED],
        "cancelled": [CANCELLED],
    }
    refusal = given(PLACED, LAPTOP_ADDED, *history[status]).when(confirm).refused(OnlyPendingOrdersCanBeConfirmed)

    assert refusal.status == status
    assert str(refusal) == f"Order ORDER-001 is {status}; only a pending order can be confirmed."


def test_an_empty_cancelled_order_is_refused_for_being_cancelled() -> None:
    given(PLACED, CANCELLED).when(confirm).refused(OnlyPendingOrdersCanBeConfirmed)
