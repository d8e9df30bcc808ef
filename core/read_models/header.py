"""What every view of an order shows: all of it but the items. Shared by the summary and the details."""

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, assert_never

from sqlalchemy import Column, DateTime, Integer, Numeric, Text

from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.streams import BrokenStream
from core.orders.events import OrderCancelled, OrderConfirmed, OrderItemAdded, OrderPlaced, OrderShipped
from core.orders.order import Status

Later = OrderItemAdded | OrderConfirmed | OrderCancelled | OrderShipped


class OrderHeader(NamedTuple):
    """A row of `header_columns`. `version` is that of the last event shown. Amounts have two places; times are UTC."""

    order_id: str
    customer_name: str
    status: str
    total_amount: Decimal
    placed_at: datetime
    confirmed_at: datetime | None = None
    shipped_at: datetime | None = None
    cancelled_at: datetime | None = None
    tracking_number: str | None = None
    cancel_reason: str | None = None
    version: int = 1


def evolve(header: OrderHeader | None, recorded: RecordedEvent) -> OrderHeader:
    """The header after one more event; None is before the first. Raises BrokenStream."""
    event, version = recorded.event, recorded.version
    if header is None:
        if version != 1 or not isinstance(event, OrderPlaced):
            raise BrokenStream(recorded.aggregate_id, 0, version)
        return _placed(recorded.aggregate_id, event)
    if version != header.version + 1 or isinstance(event, OrderPlaced):
        raise BrokenStream(recorded.aggregate_id, header.version, version)
    return _changed(header, event, version)


def _placed(order_id: str, event: OrderPlaced) -> OrderHeader:
    return OrderHeader(
        order_id=order_id,
        customer_name=event.customer_name,
        status=Status.PENDING.value,
        total_amount=event.total_amount,
        placed_at=event.placed_at,
    )


def _changed(header: OrderHeader, event: Later, version: int) -> OrderHeader:
    """Built anew: `_replace` takes twice as long, which every event of a rebuild would pay."""
    order_id, name, status, total, placed_at, confirmed_at, shipped_at, cancelled_at, tracking, reason, _ = header
    match event:
        case OrderItemAdded():
            pass
        case OrderConfirmed():
            status, confirmed_at = Status.CONFIRMED.value, event.confirmed_at
        case OrderCancelled():
            status, cancelled_at, reason = Status.CANCELLED.value, event.cancelled_at, event.reason
        case OrderShipped():
            status, shipped_at, tracking = Status.SHIPPED.value, event.shipped_at, event.tracking_number
        case _:
            assert_never(event)
    return OrderHeader(
        order_id, name, status, total, placed_at, confirmed_at, shipped_at, cancelled_at, tracking, reason, version
    )


def header_columns() -> list[Column[Any]]:
    """One column per field of OrderHeader, for a table with a row per order."""
    return [
        Column("order_id", Text, primary_key=True),
        Column("customer_name", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("total_amount", Numeric(14, 2), nullable=False),
        Column("placed_at", DateTime(timezone=True), nullable=False),
        Column("confirmed_at", DateTime(timezone=True)),
        Column("shipped_at", DateTime(timezone=True)),
        Column("cancelled_at", DateTime(timezone=True)),
        Column("tracking_number", Text),
        Column("cancel_reason", Text),
        Column("version", Integer, nullable=False),
    ]
