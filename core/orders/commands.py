"""All wishes about an order. Amounts may be int or Decimal; the aggregate checks every value."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class NewItem:
    product_name: str
    quantity: int
    unit_price: Decimal | int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    order_id: str
    customer_name: str
    total_amount: Decimal | int
    items: tuple[NewItem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOrderItem:
    order_id: str
    product_name: str
    quantity: int
    unit_price: Decimal | int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmOrder:
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    order_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipOrder:
    order_id: str
    tracking_number: str


OrderChange = AddOrderItem | ConfirmOrder | CancelOrder | ShipOrder
OrderCommand = PlaceOrder | OrderChange
