"""Runs one command: load the order, let it decide, append its events."""

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import assert_never

from core.event_sourcing.event_store import RecordedEvent, Transaction, WrongExpectedVersion
from core.event_sourcing.repository import OrderRepository
from core.orders.commands import (
    AddOrderItem,
    CancelOrder,
    ConfirmOrder,
    OrderChange,
    OrderCommand,
    PlaceOrder,
    ShipOrder,
)
from core.orders.errors import OrderAlreadyPlaced
from core.orders.order import Order

ATTEMPTS = 8
LONGEST_FIRST_PAUSE = 0.005


class ConcurrentChange(Exception):
    """Other commands changed the order each time this one had decided; nothing was stored, send it again."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"Order {order_id} was being changed by others at the same time; send the command again.")


class OrderHasMovedOn(Exception):
    """The order is not at the version that the command was meant for; `version` is the one it is at."""

    def __init__(self, order_id: str, version: int) -> None:
        super().__init__(f"Order {order_id} is at version {version} by now; read it again and decide afresh.")
        self.version = version


def utc_now() -> datetime:
    return datetime.now(UTC)


class OrderCommandHandler:
    """Each attempt has a transaction of its own; when `handle` returns, the events are committed."""

    def __init__(self, transaction: Transaction, clock: Callable[[], datetime] = utc_now) -> None:
        self._transaction = transaction
        self._clock = clock

    def handle(
        self,
        command: OrderCommand,
        metadata: Mapping[str, str] | None = None,
        *,
        expected_versions: Collection[int] | None = None,
        before_commit: Callable[[Sequence[RecordedEvent]], None] | None = None,
    ) -> list[RecordedEvent]:
        """The stored events. `before_commit` is told of them within their transaction, and may raise to undo it.

        Raises OrderError when the order refuses, OrderHasMovedOn when it is at none of `expected_versions`,
        ConcurrentChange after the last lost race."""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0, LONGEST_FIRST_PAUSE * 2 ** (attempt - 1)))
            try:
                return self._attempt(command, metadata or {}, expected_versions, before_commit)
            except WrongExpectedVersion as lost_race:
                if isinstance(command, PlaceOrder):
                    raise OrderAlreadyPlaced(command.order_id) from lost_race
        raise ConcurrentChange(command.order_id)

    def _attempt(
        self,
        command: OrderCommand,
        metadata: Mapping[str, str],
        expected_versions: Collection[int] | None,
        before_commit: Callable[[Sequence[RecordedEvent]], None] | None,
    ) -> list[RecordedEvent]:
        with self._transaction() as store:
            orders = OrderRepository(store)
            now = self._clock()
            if isinstance(command, PlaceOrder):
                order = place(command, now)
            else:
                order, last_event_at = orders.load(command.order_id)
                if expected_versions is not None and order.version not in expected_versions:
                    raise OrderHasMovedOn(command.order_id, order.version)
                now = max(now, last_event_at)  # clocks differ, but an order's history never runs backwards
                decide(order, command, now)
            recorded = orders.save(order, now=now, metadata=metadata)
            if before_commit is not None:
                before_commit(recorded)
            return recorded


def place(command: PlaceOrder, now: datetime) -> Order:
    """Raises InvalidValue."""
    return Order.place(
        order_id=command.order_id, customer_name=command.customer_name, total_amount=command.total_amount, now=now
    )


def decide(order: Order, command: OrderChange, now: datetime) -> None:
    """Let the order record what the command asks for. Raises OrderError."""
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
