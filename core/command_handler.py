"""Runs one command: load the order, let it decide, append its events."""

import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import assert_never

from core.event_sourcing.event_store import RecordedEvent, Transaction, WrongExpectedVersion
from core.event_sourcing.repository import OrderRepository
from core.orders.commands import AddOrderItem, CancelOrder, ConfirmOrder, OrderCommand, PlaceOrder, ShipOrder
from core.orders.errors import OrderAlreadyPlaced
from core.orders.order import Order

ATTEMPTS = 8
LONGEST_FIRST_PAUSE = 0.005


class ConcurrentChange(Exception):
    """Other commands changed the order each time this one had decided; nothing was stored, send it again."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"Order {order_id} was being changed by others at the same time; send the command again.")


def utc_now() -> datetime:
    return datetime.now(UTC)


class OrderCommandHandler:
    """Each attempt has a transaction of its own; when `handle` returns, the events are committed."""

    def __init__(self, transaction: Transaction, clock: Callable[[], datetime] = utc_now) -> None:
        self._transaction = transaction
        self._clock = clock

    def handle(self, command: OrderCommand, metadata: Mapping[str, str] | None = None) -> list[RecordedEvent]:
        """The stored events. Raises OrderError when the order refuses, ConcurrentChange after the last lost race."""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0, LONGEST_FIRST_PAUSE * 2 ** (attempt - 1)))
            try:
                return self._attempt(command, metadata or {})
            except WrongExpectedVersion as lost_race:
                if isinstance(command, PlaceOrder):
                    raise OrderAlreadyPlaced(command.order_id) from lost_race
        raise ConcurrentChange(command.order_id)

    def _attempt(self, command: OrderCommand, metadata: Mapping[str, str]) -> list[RecordedEvent]:
        with self._transaction() as store:
            now = self._clock()
            orders = OrderRepository(store)
            order = decide(orders, command, now)
            return orders.save(order, now=now, metadata=metadata)


def decide(orders: OrderRepository, command: OrderCommand, now: datetime) -> Order:
    """The order with the command's events, not saved yet. Raises OrderError."""
    if isinstance(command, PlaceOrder):
        return Order.place(
            order_id=command.order_id,
            customer_name=command.customer_name,
            total_amount=command.total_amount,
            now=now,
        )
    order = orders.load(command.order_id)
    match command:
        case AddOrderItem():
            order.add_item(
                product_name=command.product_name,
                quantity=command.quantity,
                unit_price=command.unit_price,
                now=now,
            )
        case ConfirmOrder():
            order.confirm(now=now)
        case CancelOrder():
            order.cancel(reason=command.reason, now=now)
        case ShipOrder():
            order.ship(tracking_number=command.tracking_number, now=now)
        case _:
            assert_never(command)
    return order
