"""Placing an order: who it is for and what it comes to."""

from datetime import timedelta
from decimal import Decimal

from core.orders.order import Order, Status
from tests.examples import NOON, ORDER_ID, PLACED
from tests.given import given


def test_an_order_is_placed() -> None:
    order = (
        given()
        .when(
            lambda _: Order.place(
                order_id=ORDER_ID, customer_name="山田太郎", total_amount=Decimal("10000.00"), now=NOON
            )
        )
        .then(PLACED)
    )

    assert (order.id, order.customer_name, order.total_amount) == (ORDER_ID, "山田太郎", Decimal(10000))
    assert (order.status, order.version) == (Status.PENDING, 1)


def test_a_whole_amount_gets_its_two_places() -> None:
    order = Order.place(order_id=ORDER_ID, customer_name="山田太郎", total_amount=10000, now=NOON)

    assert str(order.total_amount) == "10000.00"
    assert order.uncommitted_events == [PLACED]


def test_the_time_may_be_left_out_in_a_plain_shell() -> None:
    order = Order.place(order_id=ORDER_ID, customer_name="山田太郎", total_amount=10000)

    [placed] = order.uncommitted_events
    assert (
        placed
        == Order.place(
            order_id=ORDER_ID, customer_name="山田太郎", total_amount=10000, now=getattr(placed, "placed_at", None)
        ).uncommitted_events[0]
    )
    assert placed.placed_at.utcoffset() == timedelta(0)
