"""Loads and saves orders; an order is nothing but its events."""

from collections.abc import Mapping
from datetime import datetime

from core.event_sourcing.event_store import EventStore, NewEvent, RecordedEvent
from core.orders.errors import OrderNotFound
from core.orders.order import Order


class OrderRepository:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    def load(self, order_id: str) -> Order:
        """Raises OrderNotFound."""
        order = self.find(order_id)
        if order is None:
            raise OrderNotFound(order_id)
        return order

    def find(self, order_id: str) -> Order | None:
        order = Order()
        order.replay(recorded.event for recorded in self._store.read_stream(order_id))
        return order if order.version else None

    def save(self, order: Order, *, now: datetime, metadata: Mapping[str, str]) -> list[RecordedEvent]:
        """Append what the order has decided. Raises WrongExpectedVersion."""
        new = [NewEvent(event=event, occurred_at=now, metadata=metadata) for event in order.uncommitted_events]
        recorded = self._store.append(order.id, order.committed_version, new)
        order.uncommitted_events.clear()
        return recorded
