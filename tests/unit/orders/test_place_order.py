"""Placing an order: who it is for and what it comes to."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.orders.commands import NewItem
from core.orders.errors import InvalidValue, TooManyItems
from core.orders.events import OrderItemAdded, OrderPlaced
from core.orders.order import Order, Status, place
from tests.support.examples import NOON, ORDER_ID, PLACE, PLACED
from tests.support.given import given

LAPTOP = NewItem(product_name="ノートPC", quantity=1, unit_price=80000)


def placing(**changes: Any) -> Callable[[Order], Order]:
    arguments: dict[str, Any] = {
        "order_id": ORDER_ID,
        "customer_name": "山田太郎",
        "total_amount": 10000,
        "now": NOON,
    } | changes
    return lambda _: Order.place(**arguments)


def test_an_order_is_placed() -> None:
    order = given().when(placing()).then(PLACED)

    assert (order.id, order.customer_name, order.total_amount) == (ORDER_ID, "山田太郎", Decimal(10000))
    assert (order.status, order.version) == (Status.PENDING, 1)


def test_a_whole_amount_gets_its_two_places() -> None:
    order = given().when(placing(total_amount=10000)).then(PLACED)

    assert str(order.total_amount) == "10000.00"


def test_the_smallest_amount_is_a_cent() -> None:
    order = Order.place(order_id=ORDER_ID, customer_name="山田太郎", total_amount=Decimal("0.01"))

    assert order.total_amount == Decimal("0.01")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"order_id": ""},
            "order_id must be 1 to 64 letters, digits, '-', '.', '_' or '~', the first a letter or digit",
        ),
        ({"customer_name": ""}, "customer_name must not be blank"),
        ({"customer_name": "\u3000"}, "customer_name must not be blank"),
        ({"total_amount": 0}, "total_amount must be greater than 0"),
        ({"total_amount": -1}, "total_amount must be from 0 to 999999999999.99"),
        ({"total_amount": Decimal("0.001")}, "total_amount must have at most two decimal places"),
        ({"now": NOON.replace(tzinfo=None)}, "now must carry a time zone"),
    ],
)
def test_a_wrong_value_is_refused(changes: dict[str, Any], message: str) -> None:
    refusal = given().when(placing(**changes)).refused(InvalidValue)

    assert str(refusal) == message


def test_the_time_may_be_left_out_in_a_plain_shell() -> None:
    before = datetime.now(UTC)
    order = Order.place(order_id="ORDER-001", customer_name="山田太郎", total_amount=10000)
    after = datetime.now(UTC)

    [placed] = order.uncommitted_events
    assert isinstance(placed, OrderPlaced)
    assert before <= placed.placed_at <= after
    assert placed.placed_at.tzinfo is UTC


def test_the_order_that_a_command_asks_for_has_its_items() -> None:
    order = place(replace(PLACE, items=(LAPTOP, LAPTOP)), NOON)

    assert [type(event) for event in order.uncommitted_events] == [OrderPlaced, OrderItemAdded, OrderItemAdded]
    assert order.version == 3


def test_a_wrong_item_is_named() -> None:
    with pytest.raises(InvalidValue) as refused:
        place(replace(PLACE, items=(LAPTOP, replace(LAPTOP, quantity=0))), NOON)

    assert str(refused.value) == "items[1].quantity must be a whole number from 1 to 1000000"


def test_an_order_is_not_placed_with_more_items_than_it_may_have() -> None:
    with pytest.raises(TooManyItems) as refused:
        place(replace(PLACE, items=(LAPTOP,) * 3), NOON, max_items=2)

    assert str(refused.value) == "An order may have 2 items, and order ORDER-001 would have more."
