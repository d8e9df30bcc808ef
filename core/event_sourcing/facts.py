"""Facts from elsewhere are checked by the commands that would record them today."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.event_sourcing.codec import decode, encode
from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.postgres_store import LAST_VERSION
from core.orders import values
from core.orders.commands import PlaceOrder
from core.orders.errors import InvalidValue
from core.orders.events import OrderEvent
from core.orders.order import Order, asked_for, decide, place

LIKE = "with amounts like 1000.00 and times like 2026-01-31T09:00:00+00:00"


def read_fact(event_type: str, schema_version: int, data: Mapping[str, Any]) -> OrderEvent:
    """Raises UnknownEventType, InvalidValue."""
    try:
        event = decode(event_type, schema_version, data)
    except KeyError as error:
        raise InvalidValue("data", f"must have {error}, as {event_type} does") from error
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InvalidValue("data", f"must hold amounts and times as {event_type} does") from error
    if asked_for(event)[1].tzinfo is None:
        raise InvalidValue("data", "must have times with their zone")
    return event


def carry_out(order: Order, recorded: RecordedEvent, before: tuple[datetime, datetime] | None) -> Order:
    """The order with the event that the fact's command records: as the fact, but for control characters in texts.

    Old orders may have more items than new ones. `before` has the two times of the event before. Raises OrderError."""
    command, at = asked_for(recorded.event)
    if command.order_id != recorded.aggregate_id:
        raise InvalidValue("data", "must be of the order that the line names")
    if before and (at < before[0] or recorded.occurred_at < before[1]):
        raise InvalidValue("occurred_at", "and the time in data must not be before those of the version before")
    if isinstance(command, PlaceOrder):
        return place(command, at)
    decide(order, command, at, max_items=LAST_VERSION)
    return order


def require_written(data: Mapping[str, Any], schema_version: int, event: OrderEvent) -> None:
    """Raises InvalidValue unless the data are written as those of this event, which may lack control characters."""
    written = encode(event)
    if schema_version < written.schema_version:
        return
    if unknown := data.keys() - written.data.keys():
        names = ", ".join(sorted(unknown))
        raise InvalidValue("data", f"must not hold {names}, which {written.event_type} does not have")
    for key, value in written.data.items():
        if value not in (data.get(key), values.without_controls(data.get(key))):
            raise InvalidValue(f"data.{key}", f"must be written as {written.event_type} is exported, {LIKE}")
