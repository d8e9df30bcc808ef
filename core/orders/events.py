"""All facts in the life of an order. Amounts are Decimal with two places; times are UTC and aware."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import assert_never


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced:
    order_id: str
    customer_name: str
    total_amount: Decimal
    placed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderItemAdded:
    order_id: str
    product_name: str
    quantity: int
    unit_price: Decimal
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConfirmed:
    order_id: str
    confirmed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled:
    order_id: str
    reason: str
    cancelled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderShipped:
    order_id: str
    tracking_number: str
    shipped_at: datetime


ItemChange = OrderItemAdded  # what changes items and nothing else of the order
OrderEvent = OrderPlaced | OrderItemAdded | OrderConfirmed | OrderCancelled | OrderShipped


def sentence(event: OrderEvent) -> str:
    """The event for a person to read, as the audit trail shows it."""
    match event:
        case OrderPlaced():
            return f"Order placed for {event.customer_name}, total amount {event.total_amount:,}."
        case OrderItemAdded():
            return f"{event.quantity} x {event.product_name} at {event.unit_price:,} added."
        case OrderConfirmed():
            return "Order confirmed."
        case OrderCancelled():
            return f"Order cancelled: {event.reason}."
        case OrderShipped():
            return f"Order shipped under tracking number {event.tracking_number}."
        case _:
            assert_never(event)
