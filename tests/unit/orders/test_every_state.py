"""Every state meets every command: one event, or one refusal that changes nothing."""

from collections.abc import Callable
from functools import partial
from typing import get_args

import pytest

from core.orders.commands import OrderChange
from core.orders.errors import (
    EmptyOrderCannotBeConfirmed,
    OnlyConfirmedOrdersCanBeShipped,
    OnlyPendingOrdersCanBeConfirmed,
    OnlyPendingOrdersTakeItems,
    OrderError,
    ShippedOrCancelledOrdersCannotBeCancelled,
)
from core.orders.events import OrderEvent
from core.orders.order import Order, Status, decide
from tests.support.examples import CANCELLED, CONFIRMED, EVERY_STATE, LATER, MICE_ADDED, SHIPPED
from tests.support.given import given
from tests.support.lives import EVERY_CHANGE, EVERY_LIFE, replayed


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


def test_the_lives_have_every_event_and_every_status() -> None:
    assert {type(event) for life in EVERY_LIFE.values() for event in life} == set(get_args(OrderEvent))
    assert {replayed(life).status for life in EVERY_LIFE.values()} == set(Status)


@pytest.mark.parametrize("history", EVERY_LIFE.values(), ids=EVERY_LIFE)
@pytest.mark.parametrize("command", EVERY_CHANGE, ids=lambda command: type(command).__name__)
def test_every_life_meets_every_command(history: tuple[OrderEvent, ...], command: OrderChange) -> None:
    given(*history).when(partial(decide, command=command, now=LATER)).then_one_event_or_a_refusal()
