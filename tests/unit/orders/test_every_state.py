"""Every state meets every command: one event, or one refusal."""

from collections.abc import Callable

import pytest

from core.orders.errors import (
    EmptyOrderCannotBeConfirmed,
    OnlyConfirmedOrdersCanBeShipped,
    OnlyPendingOrdersCanBeConfirmed,
    OnlyPendingOrdersTakeItems,
    OrderError,
    ShippedOrCancelledOrdersCannotBeCancelled,
)
from core.orders.events import OrderEvent
from core.orders.order import Order
from tests.support.examples import CANCELLED, CONFIRMED, EVERY_STATE, MICE_ADDED, SHIPPED
from tests.support.given import given


def add_item(order: Order) -> None:
    order.add_item(product_name="マウス", quantity=2, unit_price=1500, now=MICE_ADDED.added_at)


def confirm(order: Order) -> None:
    order.confirm(now=CONFIRMED.confirmed_at)


def cancel(order: Order) -> None:
    order.cancel(reason="顧客都合によるキャンセル", now=CANCELLED.cancelled_at)


def ship(order: Order) -> None:
    order.ship(tracking_number="TRACK-12345678", now=SHIPPED.shipped_at)


COMMANDS = [add_item, confirm, cancel, ship]

OUTCOMES: dict[str, list[OrderEvent | type[OrderError]]] = {
    "pending and empty": [
        MICE_ADDED,
        EmptyOrderCannotBeConfirmed,
        CANCELLED,
        OnlyConfirmedOrdersCanBeShipped,
    ],
    "pending with items": [
        MICE_ADDED,
        CONFIRMED,
        CANCELLED,
        OnlyConfirmedOrdersCanBeShipped,
    ],
    "confirmed": [
        OnlyPendingOrdersTakeItems,
        OnlyPendingOrdersCanBeConfirmed,
        CANCELLED,
        SHIPPED,
    ],
    "shipped": [
        OnlyPendingOrdersTakeItems,
        OnlyPendingOrdersCanBeConfirmed,
        ShippedOrCancelledOrdersCannotBeCancelled,
        OnlyConfirmedOrdersCanBeShipped,
    ],
    "cancelled": [
        OnlyPendingOrdersTakeItems,
        OnlyPendingOrdersCanBeConfirmed,
        ShippedOrCancelledOrdersCannotBeCancelled,
        OnlyConfirmedOrdersCanBeShipped,
    ],
}


@pytest.mark.parametrize(
    ("state", "command", "outcome"),
    [
        pytest.param(state, command, outcome, id=f"{state}, {command.__name__}")
        for state, outcomes in OUTCOMES.items()
        for command, outcome in zip(COMMANDS, outcomes, strict=True)
    ],
)
def test_a_command_is_accepted_or_refused_by_the_state(
    state: str, command: Callable[[Order], None], outcome: OrderEvent | type[OrderError]
) -> None:
    asked = given(*EVERY_STATE[state]).when(command)

    if isinstance(outcome, type):
        asked.refused(outcome)
    else:
        asked.then(outcome)
