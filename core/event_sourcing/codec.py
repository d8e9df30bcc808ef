"""Events to and from stored JSON. Stored names stand here and nowhere else, so a renamed class orphans no history."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, assert_never

from pydantic_core import from_json, to_json

from core.orders import events
from core.orders.events import OrderEvent

Data = Mapping[str, Any]


class StoredEvent(NamedTuple):
    """`data` holds JSON strings and whole numbers only: amounts as "10000.00", times in RFC 3339."""

    event_type: str
    schema_version: int
    data: Data


class UnknownEventType(Exception):
    """The log holds an event that this release cannot read; run a release that can."""

    def __init__(self, event_type: str, schema_version: int) -> None:
        super().__init__(f"This release cannot read events of type {event_type!r}, schema version {schema_version}.")


def encode(event: OrderEvent) -> StoredEvent:
    match event:
        case events.OrderPlaced():
            data = {
                "order_id": event.order_id,
                "customer_name": event.customer_name,
                "total_amount": str(event.total_amount),
                "placed_at": event.placed_at.isoformat(),
            }
            return StoredEvent("OrderPlaced", 1, data)
        case events.OrderItemAdded():
            item = {
                "order_id": event.order_id,
                "product_name": event.product_name,
                "quantity": event.quantity,
                "unit_price": str(event.unit_price),
                "added_at": event.added_at.isoformat(),
            }
            return StoredEvent("OrderItemAdded", 1, item)
        case events.OrderConfirmed():
            data = {"order_id": event.order_id, "confirmed_at": event.confirmed_at.isoformat()}
            return StoredEvent("OrderConfirmed", 1, data)
        case events.OrderCancelled():
            data = {
                "order_id": event.order_id,
                "reason": event.reason,
                "cancelled_at": event.cancelled_at.isoformat(),
            }
            return StoredEvent("OrderCancelled", 1, data)
        case events.OrderShipped():
            data = {
                "order_id": event.order_id,
                "tracking_number": event.tracking_number,
                "shipped_at": event.shipped_at.isoformat(),
            }
            return StoredEvent("OrderShipped", 1, data)
        case _:
            assert_never(event)


def decode(event_type: str, schema_version: int, data: Data) -> OrderEvent:
    """Raises UnknownEventType."""
    decoder = _DECODERS.get((event_type, schema_version))
    if decoder is None:
        raise UnknownEventType(event_type, schema_version)
    return decoder(data)


def as_json(event_type: str, schema_version: int, data: str) -> str:
    """Stored data for other services: in its newest schema, with amounts as numbers with the digits they have.

    Raises UnknownEventType."""
    if _NEWEST.get(event_type) != schema_version:
        data = to_json(encode(decode(event_type, schema_version, from_json(data))).data).decode()
    return _AMOUNT.sub(r"\1\2", data)


def _order_placed(data: Data) -> events.OrderPlaced:
    return events.OrderPlaced(
        order_id=data["order_id"],
        customer_name=data["customer_name"],
        total_amount=Decimal(data["total_amount"]),
        placed_at=datetime.fromisoformat(data["placed_at"]),
    )


def _order_item_added(data: Data) -> events.OrderItemAdded:
    return events.OrderItemAdded(
        order_id=data["order_id"],
        product_name=data["product_name"],
        quantity=data["quantity"],
        unit_price=Decimal(data["unit_price"]),
        added_at=datetime.fromisoformat(data["added_at"]),
    )


def _order_confirmed(data: Data) -> events.OrderConfirmed:
    return events.OrderConfirmed(order_id=data["order_id"], confirmed_at=datetime.fromisoformat(data["confirmed_at"]))


def _order_cancelled(data: Data) -> events.OrderCancelled:
    return events.OrderCancelled(
        order_id=data["order_id"], reason=data["reason"], cancelled_at=datetime.fromisoformat(data["cancelled_at"])
    )


def _order_shipped(data: Data) -> events.OrderShipped:
    return events.OrderShipped(
        order_id=data["order_id"],
        tracking_number=data["tracking_number"],
        shipped_at=datetime.fromisoformat(data["shipped_at"]),
    )


# Old schema versions stay here for as long as the log holds them.
_DECODERS: dict[tuple[str, int], Callable[[Data], OrderEvent]] = {
    ("OrderPlaced", 1): _order_placed,
    ("OrderItemAdded", 1): _order_item_added,
    ("OrderConfirmed", 1): _order_confirmed,
    ("OrderCancelled", 1): _order_cancelled,
    ("OrderShipped", 1): _order_shipped,
}
_NEWEST = dict(sorted(_DECODERS))  # the schema version of each type
EVENT_TYPES = tuple(_NEWEST)

# Stored as text, so that nothing rounds them. Within a JSON string such a quote would have a backslash before it.
AMOUNTS = ("total_amount", "unit_price")
_AMOUNT = re.compile(rf'("(?:{"|".join(AMOUNTS)})": ?)"([0-9.]+)"')
