"""All facts in the life of an order. Amounts are Decimal with two places; times are UTC and aware."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, assert_never


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


class Sentences(NamedTuple):
    """The event for a person to read, in each language of the console."""

    en: str
    ja: str


def sentence(event: OrderEvent) -> str:
    """As the audit trail shows it."""
    return sentences(event).en


def sentences(event: OrderEvent, money: Callable[[Decimal], str] = "{:,}".format) -> Sentences:
    """`money` writes an amount."""
    match event:
        case OrderPlaced():
            name, amount = event.customer_name, money(event.total_amount)
            return Sentences(
                en=f"Order placed for {name}, total amount {amount}.",
                ja=f"{name}の注文を受け付けました。合計金額は{amount}です。",
            )
        case OrderItemAdded():
            name, amount = event.product_name, money(event.unit_price)
            return Sentences(
                en=f"{event.quantity} x {name} at {amount} added.",
                ja=f"{name}（{amount}）を{event.quantity}個追加しました。",
            )
        case OrderConfirmed():
            return Sentences(en="Order confirmed.", ja="注文を確定しました。")
        case OrderCancelled():
            return Sentences(
                en=f"Order cancelled: {event.reason}.",
                ja=f"注文をキャンセルしました。理由：{event.reason}",
            )
        case OrderShipped():
            return Sentences(
                en=f"Order shipped under tracking number {event.tracking_number}.",
                ja=f"発送しました。追跡番号：{event.tracking_number}",
            )
        case _:
            assert_never(event)
