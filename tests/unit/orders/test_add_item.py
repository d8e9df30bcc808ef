"""Adding items: only while the order is pending."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.orders.errors import InvalidValue, OnlyPendingOrdersTakeItems, TooManyItems
from core.orders.events import OrderEvent, OrderItemAdded
from core.orders.order import Order, Status
from tests.support.examples import CANCELLED, CONFIRMED, LAPTOP_ADDED, MICE_ADDED, PLACED, SHIPPED
from tests.support.given import given


def add_laptop(**changes: Any) -> Callable[[Order], None]:
    arguments: dict[str, Any] = {
        "product_name": "ノートPC",
        "quantity": 1,
        "unit_price": 80000,
        "now": LAPTOP_ADDED.added_at,
    } | changes
    return lambda order: order.add_item(**arguments)


def add_mice(order: Order) -> None:
    order.add_item(product_name="マウス", quantity=2, unit_price=1500, now=MICE_ADDED.added_at)


def test_an_item_is_added_to_a_pending_order() -> None:
    order = given(PLACED).when(add_laptop()).then(LAPTOP_ADDED)

    assert (order.status, order.version) == (Status.PENDING, 2)


def test_items_follow_one_another() -> None:
    order = given(PLACED, LAPTOP_ADDED).when(add_mice).then(MICE_ADDED)

    assert order.version == 3


def test_the_same_item_may_be_added_again() -> None:
    given(PLACED, LAPTOP_ADDED).when(add_laptop()).then(LAPTOP_ADDED)


def test_items_do_not_change_the_total_amount() -> None:
    order = given(PLACED).when(add_laptop()).then(LAPTOP_ADDED)

    assert order.total_amount == PLACED.total_amount


def test_an_item_may_be_free() -> None:
    given(PLACED).when(add_laptop(unit_price=0)).then(replace(LAPTOP_ADDED, unit_price=Decimal(0)))


def test_a_whole_number_of_json_is_a_whole_quantity() -> None:
    order = given(PLACED).when(add_laptop(quantity=Decimal("1.0"))).then(LAPTOP_ADDED)

    [added] = order.uncommitted_events
    assert isinstance(added, OrderItemAdded)
    assert type(added.quantity) is int


@pytest.mark.parametrize("status", ["confirmed", "shipped", "cancelled"])
def test_an_order_that_is_no_longer_pending_takes_no_items(status: str) -> None:
    history: dict[str, list[OrderEvent]] = {
        "confirmed": [LAPTOP_ADDED, CONFIRMED],
        "shipped": [LAPTOP_ADDED, CONFIRMED, SHIPPED],
        "cancelled": [CANCELLED],
    }
    refusal = given(PLACED, *history[status]).when(add_laptop()).refused(OnlyPendingOrdersTakeItems)

    assert refusal.status == status
    assert str(refusal) == f"Order ORDER-001 is {status}; items can change only while it is pending."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"product_name": " "}, "product_name must not be blank"),
        ({"quantity": 0}, "quantity must be a whole number from 1 to 1000000"),
        ({"quantity": -1}, "quantity must be a whole number from 1 to 1000000"),
        ({"quantity": Decimal("1.5")}, "quantity must be a whole number from 1 to 1000000"),
        ({"unit_price": Decimal("-0.01")}, "unit_price must be from 0 to 999999999999.99"),
        ({"unit_price": Decimal("0.001")}, "unit_price must have at most two decimal places"),
    ],
)
def test_a_wrong_value_is_refused(changes: dict[str, Any], message: str) -> None:
    refusal = given(PLACED).when(add_laptop(**changes)).refused(InvalidValue)

    assert str(refusal) == message


def test_an_order_has_room_for_so_many_items() -> None:
    given(PLACED, LAPTOP_ADDED).when(add_laptop(max_items=2)).then(LAPTOP_ADDED)
    refusal = given(PLACED, LAPTOP_ADDED, MICE_ADDED).when(add_laptop(max_items=2)).refused(TooManyItems)

    assert refusal.max_items == 2


def test_unless_told_otherwise_that_is_a_thousand() -> None:
    given(PLACED, *[LAPTOP_ADDED] * 999).when(add_laptop()).then(LAPTOP_ADDED)
    given(PLACED, *[LAPTOP_ADDED] * 1000).when(add_laptop()).refused(TooManyItems)


def test_the_status_is_judged_before_the_values() -> None:
    given(PLACED, CANCELLED).when(add_laptop(quantity=0)).refused(OnlyPendingOrdersTakeItems)
