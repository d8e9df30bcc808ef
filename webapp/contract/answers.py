"""What the service answers, as typed models: the contract is made from them, and the tests hold every answer to them.

Answers are not built through these models; that would cost time on every request and find nothing that tests do not.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel

from core.orders.order import Status
from webapp.contract import json_types
from webapp.contract.json_types import described

OrderId = Annotated[str, described(json_types.ORDER_ID, "The order's id.", "019a5e3c-2b1f-7c40-9d51-7a2f5f3b8c1e")]
Version = Annotated[int, described(json_types.COUNT, "1, 2, 3 … within the order, without gaps.", 2)]
Position = Annotated[int, described(json_types.COUNT, "The event's place in the whole log.", 42)]
Amount = Annotated[Decimal, described(json_types.AMOUNT, "Money, exact to two decimal places.")]
Sum = Annotated[Decimal, described(json_types.SUM, "Money, exact to two decimal places.")]
Time = Annotated[datetime, described(json_types.TIME, "RFC 3339, in UTC.")]
Quantity = Annotated[int, described(json_types.QUANTITY, "How many of it.")]
Count = Annotated[int, described({"type": "integer", "minimum": 0}, "A number of orders.")]


class Accepted(BaseModel):
    """The command's last event is on disk."""

    order_id: OrderId
    version: Version
    position: Position


class OrderSummary(BaseModel):
    """An order without its items; `version` is the last event shown."""

    order_id: OrderId
    customer_name: str
    status: Status
    total_amount: Amount
    placed_at: Time
    confirmed_at: Time | None
    shipped_at: Time | None
    cancelled_at: Time | None
    tracking_number: str | None
    cancel_reason: str | None
    version: Version


class OrderItem(BaseModel):
    product_name: str
    quantity: Quantity
    unit_price: Amount
    subtotal: Sum


class OrderDetails(OrderSummary):
    """An order with its items; `items_total` is their own sum."""

    items: list[OrderItem]
    items_total: Sum


class OrderPage(BaseModel):
    """Newest placed first; `next_cursor` is null on the last page."""

    orders: list[OrderSummary]
    next_cursor: str | None


class OrderStatistics(BaseModel):
    """`total_revenue` is the sum of the total amounts of shipped orders."""

    total_count: Count
    pending_count: Count
    confirmed_count: Count
    shipped_count: Count
    cancelled_count: Count
    total_revenue: Sum


class AddedItem(OrderItem):
    """An item with the version of the event that added it."""

    version: Version


class FieldChange(BaseModel):
    """A field of the details before and after; null is for what was or is not there."""

    field: str
    before: str | Sum | AddedItem | None
    after: str | Sum | AddedItem | None


class AuditEntry(BaseModel):
    """One event: who did what, when, and what it changed."""

    version: Version
    position: Position
    event_type: str
    occurred_at: Time
    actor: str | None
    correlation_id: str | None
    causation_id: str | None
    sentence: str
    changes: list[FieldChange]


class AuditTrail(BaseModel):
    """Every event of the order, oldest first."""

    order_id: OrderId
    events: list[AuditEntry]


class OrderDiff(BaseModel):
    """What changed between two versions."""

    order_id: OrderId
    from_version: Version
    to_version: Version
    changes: list[FieldChange]


class Liveness(BaseModel):
    status: Literal["alive"]


class Readiness(BaseModel):
    """`checks` says what is wrong, or "ok"; a service that is degraded works, but news may be late."""

    status: Literal["ready", "degraded"]
    checks: dict[str, str]
