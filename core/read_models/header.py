"""What every row of an order shows: all of it but the items. Shared by the summary and the details."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Self, TypeVar, assert_never

from sqlalchemy import Column, DateTime, Integer, Numeric, Text

from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.streams import BrokenStream
from core.orders import events
from core.orders.order import Status

FIELDS = (
    "order_id", "customer_name", "status", "total_amount", "placed_at", "confirmed_at", "shipped_at", "cancelled_at",
    "tracking_number", "cancel_reason", "version",
)  # fmt: skip


@dataclass(slots=True)
class OrderHeader:
    """The values of `header_columns`. `version` is that of the last event shown. Amounts have two places; times UTC."""

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
    version: int = 0

    @classmethod
    def placed(cls, order_id: str, event: events.OrderPlaced) -> Self:
        return cls(order_id, event.customer_name, Status.PENDING.value, event.total_amount, event.placed_at)


SomeHeader = TypeVar("SomeHeader", bound=OrderHeader)

header_values = attrgetter(*FIELDS)


def header_fields(header: OrderHeader) -> dict[str, Any]:
    """By name, in the order of the columns."""
    return dict(zip(FIELDS, header_values(header), strict=True))


def evolve_header(kind: type[SomeHeader], header: SomeHeader | None, recorded: RecordedEvent) -> SomeHeader:
    """The header after one more event; it is changed in place. Raises BrokenStream."""
    event = recorded.event
    if isinstance(event, events.OrderPlaced):
        return kind.placed(recorded.aggregate_id, event)
    if header is None:
        raise BrokenStream(recorded.aggregate_id, 0, recorded.version)
    if isinstance(event, events.ItemChange):
        return header
    match event:
        case events.OrderConfirmed():
            header.status, header.confirmed_at = Status.CONFIRMED.value, event.confirmed_at
        case events.OrderCancelled():
            header.status, header.cancelled_at = Status.CANCELLED.value, event.cancelled_at
            header.cancel_reason = event.reason
        case events.OrderShipped():
            header.status, header.shipped_at = Status.SHIPPED.value, event.shipped_at
            header.tracking_number = event.tracking_number
        case _:
            assert_never(event)
    return header


def header_columns() -> list[Column[Any]]:
    """One column per field of OrderHeader but the first, for a table with a row per order."""
    return [
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
