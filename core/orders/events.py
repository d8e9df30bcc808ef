"""All facts in the life of an order. Amounts are Decimal with two places; times are UTC and aware."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


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


OrderEvent = OrderPlaced | OrderItemAdded | OrderConfirmed | OrderCancelled | OrderShipped
