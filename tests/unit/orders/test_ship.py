"""Shipping: only a confirmed order, with a tracking number."""

from collections.abc import Callable

import pytest

from core.orders.errors import InvalidValue, OnlyConfirmedOrdersCanBeShipped
from core.orders.events import OrderEvent
from core.orders.order import Order, Status
from tests.support.examples import CANCELLED, CONFIRMED, LAPTOP_ADDED, PLACED, SHIPPED
from tests.support.given import given


def ship(tracking_number: str = "TRACK-12345678") -> Callable[[Order], None]:
    return lambda order: order.ship(tracking_number=tracking_number, now=SHIPPED.shipped_at)


def test_a_confirmed_order_is_shipped() -> None:
    order = given(PLACED, LAPTOP_ADDED, CONFIRMED).when(ship()).then(SHIPPED)

    assert (order.status, order.version) == (Status.SHIPPED, 4)


@pytest.mark.parametrize(
    ("status", "history"),
    [
        ("pending", (PLACED,)),
        ("pending", (PLACED, LAPTOP_ADDED)),
        ("shipped", (PLACED, LAPTOP_ADDED, CONFIRMED, SHIPPED)),
        ("cancelled", (PLACED, LAPTOP_ADDED, CONFIRMED, CANCELLED)),
    ],
    ids=["pending and empty", "pending with items", "shipped", "cancelled after it was confirmed"],
)
def test_only_a_confirmed_order_can_be_shipped(status: str, history: tuple[OrderEvent, ...]) -> None:
    refusal = given(*history).when(ship()).refused(OnlyConfirmedOrdersCanBeShipped)

    assert refusal.status == status
    assert str(refusal) == f"Order ORDER-001 is {status}; only a confirmed order can be shipped."


@pytest.mark.parametrize("tracking_number", ["", " ", "\u3000"])
def test_shipping_needs_a_tracking_number(tracking_number: str) -> None:
    refusal = given(PLACED, LAPTOP_ADDED, CONFIRMED).when(ship(tracking_number)).refused(InvalidValue)

    assert str(refusal) == "tracking_number must not be blank"


def test_the_status_is_judged_before_the_tracking_number() -> None:
    given(PLACED).when(ship("")).refused(OnlyConfirmedOrdersCanBeShipped)
