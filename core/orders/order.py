"""The whole life of an order: pending, then confirmed, then shipped; or cancelled on the way."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, assert_never

from core.orders import commands, values
from core.orders.aggregate_root import AggregateRoot
from core.orders.errors import (
    EmptyOrderCannotBeConfirmed,
    InvalidValue,
    OnlyConfirmedOrdersCanBeShipped,
    OnlyPendingOrdersCanBeConfirmed,
    OnlyPendingOrdersTakeItems,
    ShippedOrCancelledOrdersCannotBeCancelled,
    TooManyItems,
)
from core.orders.events import OrderCancelled, OrderConfirmed, OrderEvent, OrderItemAdded, OrderPlaced, OrderShipped


class Status(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


STATE_SHAPE = 1  # another number for whatever changes what `state` holds or means: snapshots are then made anew


class Order(AggregateRoot[OrderEvent]):
    """Each method checks its rule and records one event, or raises the refusal and changes nothing."""

    id: str
    customer_name: str
    total_amount: Decimal
    status: Status

    def __init__(self) -> None:
        super().__init__()
        self.item_count = 0

    def state(self) -> dict[str, Any]:
        """All that the events so far have made of it but its version, in JSON values."""
        return {
            "id": self.id,
            "customer_name": self.customer_name,
            "total_amount": str(self.total_amount),
            "status": self.status.value,
            "item_count": self.item_count,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], version: int) -> "Order":
        """As the events up to this version have made it."""
        order = cls()
        order.id = state["id"]
        order.customer_name = state["customer_name"]
        order.total_amount = Decimal(state["total_amount"])
        order.status = Status(state["status"])
        order.item_count = state["item_count"]
        order.version = version
        return order

    @classmethod
    def place(
        cls, *, order_id: str, customer_name: str, total_amount: Decimal | int, now: datetime | None = None
    ) -> "Order":
        """A new pending order. Raises InvalidValue."""
        order = cls()
        order.record(
            OrderPlaced(
                order_id=values.order_id(order_id),
                customer_name=values.customer_name(customer_name),
                total_amount=values.total_amount(total_amount),
                placed_at=values.moment(now),
            )
        )
        return order

    def add_item(
        self,
        *,
        product_name: str,
        quantity: int,
        unit_price: Decimal | int,
        max_items: int = values.MAX_ITEMS,
        now: datetime | None = None,
    ) -> None:
        """Items do not change `total_amount`. Raises OnlyPendingOrdersTakeItems, TooManyItems, InvalidValue."""
        if self.status is not Status.PENDING:
            raise OnlyPendingOrdersTakeItems(self.id, self.status)
        if self.item_count >= max_items:
            raise TooManyItems(self.id, max_items)
        self.record(
            OrderItemAdded(
                order_id=self.id,
                product_name=values.product_name(product_name),
                quantity=values.quantity(quantity),
                unit_price=values.unit_price(unit_price),
                added_at=values.moment(now),
            )
        )

    def confirm(self, *, now: datetime | None = None) -> None:
        """Raises OnlyPendingOrdersCanBeConfirmed, EmptyOrderCannotBeConfirmed."""
        if self.status is not Status.PENDING:
            raise OnlyPendingOrdersCanBeConfirmed(self.id, self.status)
        if self.item_count == 0:
            raise EmptyOrderCannotBeConfirmed(self.id, self.status)
        self.record(OrderConfirmed(order_id=self.id, confirmed_at=values.moment(now)))

    def cancel(self, *, reason: str, now: datetime | None = None) -> None:
        """Raises ShippedOrCancelledOrdersCannotBeCancelled, InvalidValue."""
        if self.status in (Status.SHIPPED, Status.CANCELLED):
            raise ShippedOrCancelledOrdersCannotBeCancelled(self.id, self.status)
        self.record(OrderCancelled(order_id=self.id, reason=values.reason(reason), cancelled_at=values.moment(now)))

    def ship(self, *, tracking_number: str, now: datetime | None = None) -> None:
        """Raises OnlyConfirmedOrdersCanBeShipped, InvalidValue."""
        if self.status is not Status.CONFIRMED:
            raise OnlyConfirmedOrdersCanBeShipped(self.id, self.status)
        self.record(
            OrderShipped(
                order_id=self.id,
                tracking_number=values.tracking_number(tracking_number),
                shipped_at=values.moment(now),
            )
        )

    def apply(self, event: OrderEvent) -> None:
        match event:
            case OrderPlaced():
                self.id = event.order_id
                self.customer_name = event.customer_name
                self.total_amount = event.total_amount
                self.status = Status.PENDING
            case OrderItemAdded():
                self.item_count += 1
            case OrderConfirmed():
                self.status = Status.CONFIRMED
            case OrderCancelled():
                self.status = Status.CANCELLED
            case OrderShipped():
                self.status = Status.SHIPPED
            case _:
                assert_never(event)


def place(command: commands.PlaceOrder, now: datetime, max_items: int = values.MAX_ITEMS) -> Order:
    """The new order that the command asks for, with its items. Raises InvalidValue, TooManyItems."""
    order = Order.place(
        order_id=command.order_id, customer_name=command.customer_name, total_amount=command.total_amount, now=now
    )
    for number, item in enumerate(command.items):
        try:
            order.add_item(
                product_name=item.product_name,
                quantity=item.quantity,
                unit_price=item.unit_price,
                max_items=max_items,
                now=now,
            )
        except InvalidValue as wrong:
            raise InvalidValue(f"items[{number}].{wrong.field}", wrong.detail) from wrong
    return order


def decide(order: Order, command: commands.OrderChange, now: datetime, max_items: int = values.MAX_ITEMS) -> None:
    """Let the order check the command and record its event. Raises OrderError."""
    match command:
        case commands.AddOrderItem():
            order.add_item(
                product_name=command.product_name,
                quantity=command.quantity,
                unit_price=command.unit_price,
                max_items=max_items,
                now=now,
            )
        case commands.ConfirmOrder():
            order.confirm(now=now)
        case commands.CancelOrder():
            order.cancel(reason=command.reason, now=now)
        case commands.ShipOrder():
            order.ship(tracking_number=command.tracking_number, now=now)
        case _:
            assert_never(command)


def asked_for(event: OrderEvent) -> tuple[commands.OrderCommand, datetime]:
    """The command that would record this event, and when: carrying it out checks a fact that comes from elsewhere."""
    text = values.without_controls
    match event:
        case OrderPlaced(order_id=order_id):
            name, amount = text(event.customer_name), event.total_amount
            return commands.PlaceOrder(order_id=order_id, customer_name=name, total_amount=amount), event.placed_at
        case OrderItemAdded(order_id=order_id):
            item = commands.AddOrderItem(
                order_id=order_id,
                product_name=text(event.product_name),
                quantity=event.quantity,
                unit_price=event.unit_price,
            )
            return item, event.added_at
        case OrderConfirmed(order_id=order_id):
            return commands.ConfirmOrder(order_id=order_id), event.confirmed_at
        case OrderCancelled(order_id=order_id):
            return commands.CancelOrder(order_id=order_id, reason=text(event.reason)), event.cancelled_at
        case OrderShipped(order_id=order_id):
            number = text(event.tracking_number)
            return commands.ShipOrder(order_id=order_id, tracking_number=number), event.shipped_at
        case _:
            assert_never(event)
