"""Placing an order: who it is for and what it comes to."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.orders.errors import InvalidValue
from core.orders.events import OrderPlaced
from core.orders.order import Order, Status
from tests.support.examples import NOON, ORDER_ID, PLACED
from tests.support.given import given


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
