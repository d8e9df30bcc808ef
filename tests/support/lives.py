"""Every command, event and life of an order, found by trying the commands' own examples; nothing is listed by hand."""

from dataclasses import MISSING, fields
from datetime import timedelta
from typing import Any, get_args

from core.orders.commands import OrderChange, OrderCommand
from core.orders.errors import OrderError
from core.orders.events import OrderEvent
from core.orders.order import Order, decide, place
from tests.support.examples import NOON, ORDER_ID, PLACE
from webapp.operations import OPERATIONS

LONGEST = 5  # events

# What the operations' examples say, by field.
VALUES: dict[str, Any] = {"order_id": ORDER_ID}
for operation in OPERATIONS:
    VALUES |= operation.example


def _example(kind: type[Any]) -> Any:
    required = (field.name for field in fields(kind) if field.default is MISSING)
    return kind(**{name: VALUES[name] for name in required})


EVERY_COMMAND: list[OrderCommand] = [_example(kind) for kind in get_args(OrderCommand)]
EVERY_CHANGE: list[OrderChange] = [_example(kind) for kind in get_args(OrderChange)]


def replayed(history: tuple[OrderEvent, ...]) -> Order:
    order = Order()
    order.replay(history)
    return order


def decided(history: tuple[OrderEvent, ...], command: OrderChange) -> tuple[OrderEvent, ...] | None:
    """The history with what the command adds; None if the order refuses."""
    order = replayed(history)
    try:
        decide(order, command, NOON + timedelta(minutes=len(history)))
    except OrderError:
        return None
    return (*history, *order.uncommitted_events)


def _every_life() -> list[tuple[OrderEvent, ...]]:
    lives = [tuple(place(PLACE, NOON).uncommitted_events)]
    for life in lives:  # which grows meanwhile
        if len(life) < LONGEST:
            lives += filter(None, (decided(life, command) for command in EVERY_CHANGE))
    return lives


def named(life: tuple[OrderEvent, ...]) -> str:
    return ", ".join(type(event).__name__ for event in life)


EVERY_LIFE = {named(life): life for life in _every_life()}
EVERY_EVENT: list[OrderEvent] = list({type(event): event for life in EVERY_LIFE.values() for event in life}.values())
