"""A second opinion: what the log's rows say of every order, worked out without any code of the service."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

TAGGED_BY = {
    "OrderPlaced": "customer_name",
    "OrderItemAdded": "product_name",
    "OrderCancelled": "reason",
    "OrderShipped": "tracking_number",
}


class LoggedEvent(NamedTuple):
    order_id: str
    version: int
    event_type: str
    data: dict[str, Any]

    @property
    def tag(self) -> str:
        """That of the command which made it; an order is confirmed once, so that needs none of its own."""
        if self.event_type == "OrderConfirmed":
            return f"{self.order_id} confirmed"
        return str(self.data[TAGGED_BY[self.event_type]])


@dataclass(slots=True)
class Replayed:
    """`header` and each item have the names of the read models' columns; items are by version."""

    header: dict[str, Any]
    items: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def items_total(self) -> Decimal:
        return sum((item["subtotal"] for item in self.items.values()), Decimal("0.00"))


def replay(log: Iterable[LoggedEvent]) -> dict[str, Replayed]:
    """By order id. The log is in the order of versions; one that does not begin with OrderPlaced raises KeyError."""
    orders: dict[str, Replayed] = {}
    for event in log:
        if event.event_type == "OrderPlaced":
            orders[event.order_id] = Replayed(_placed(event))
        else:
            _go_on(orders[event.order_id], event)
    return orders


def _placed(event: LoggedEvent) -> dict[str, Any]:
    nothing_yet = ("confirmed_at", "shipped_at", "cancelled_at", "tracking_number", "cancel_reason")
    return {
        "order_id": event.order_id,
        "customer_name": event.data["customer_name"],
        "status": "pending",
        "total_amount": Decimal(event.data["total_amount"]),
        "placed_at": datetime.fromisoformat(event.data["placed_at"]),
        **dict.fromkeys(nothing_yet),
        "version": event.version,
    }


def _go_on(order: Replayed, event: LoggedEvent) -> None:
    data = event.data
    order.header["version"] = event.version
    match event.event_type:
        case "OrderItemAdded":
            order.items[event.version] = _item(event)
        case "OrderConfirmed":
            order.header |= {"status": "confirmed", "confirmed_at": datetime.fromisoformat(data["confirmed_at"])}
        case "OrderShipped":
            shipped_at = datetime.fromisoformat(data["shipped_at"])
            order.header |= {
                "status": "shipped",
                "shipped_at": shipped_at,
                "tracking_number": data["tracking_number"],
            }
        case "OrderCancelled":
            cancelled_at = datetime.fromisoformat(data["cancelled_at"])
            order.header |= {"status": "cancelled", "cancelled_at": cancelled_at, "cancel_reason": data["reason"]}
        case unknown:
            raise AssertionError(f"the log holds {unknown}")


def _item(event: LoggedEvent) -> dict[str, Any]:
    quantity, unit_price = event.data["quantity"], Decimal(event.data["unit_price"])
    return {
        "product_name": event.data["product_name"],
        "quantity": quantity,
        "unit_price": unit_price,
        "subtotal": quantity * unit_price,
    }
