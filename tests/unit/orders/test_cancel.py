"""Cancelling: anything that is not shipped or cancelled, for a reason."""

from collections.abc import Callable

import pytest

from core.orders.errors import InvalidValue, ShippedOrCancelledOrdersCannotBeCancelled
from core.orders.events import OrderEvent
from core.orders.order import Order, Status
from tests.support.examples import CANCELLED, CONFIRMED, LAPTOP_ADDED, PLACED, SHIPPED
from tests.support.given import given


def cancel(reason: str = "顧客都合によるキャンセル") -> Callable[[Order], None]:
    return lambda order: order.cancel(reason=reason, now=CANCELLED.cancelled_at)


@pytest.mark.parametrize(
    "history",
    [(PLACED,), (PLACED, LAPTOP_ADDED), (PLACED, LAPTOP_ADDED, CONFIRMED)],
    ids=["pending and empty", "pending with items", "confirmed"],
)
def test_an_order_is_cancelled_until_it_is_shipped(history: tuple[OrderEvent, ...]) -> None:
    order = given(*history).when(cancel()).then(CANCELLED)

    assert (order.status, order.version) == (Status.CANCELLED, len(history) + 1)


@pytest.mark.parametrize(
    ("status", "history"),
    [
        ("shipped", (PLACED, LAPTOP_ADDED, CONFIRMED, SHIPPED)),
        ("cancelled", (PLACED, CANCELLED)),
        ("cancelled", (PLACED, LAPTOP_ADDED, CONFIRMED, CANCELLED)),
    ],
    ids=["shipped", "cancelled while pending", "cancelled after it was confirmed"],
)
def test_a_shipped_or_cancelled_order_cannot_be_cancelled(status: str, history: tuple[OrderEvent, ...]) -> None:
    refusal = given(*history).when(cancel()).refused(ShippedOrCancelledOrdersCannotBeCancelled)

    assert refusal.status == status
    assert str(refusal) == f"Order ORDER-001 is {status}; only a pending or confirmed order can be cancelled."


@pytest.mark.parametrize("reason", ["", " ", "\u3000"])
def test_cancelling_needs_a_reason(reason: str) -> None:
    refusal = given(PLACED).when(cancel(reason)).refused(InvalidValue)

    assert str(refusal) == "reason must not be blank"


def test_the_status_is_judged_before_the_reason() -> None:
    given(PLACED, CANCELLED).when(cancel("")).refused(ShippedOrCancelledOrdersCannotBeCancelled)
