"""Loads and saves orders; an order is nothing but its events."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from core.event_sourcing.event_store import EventStore, NewEvent, RecordedEvent
from core.orders.errors import OrderNotFound
from core.orders.order import Order


class Loaded(NamedTuple):
    order: Order
    last_event_at: datetime


class OrderRepository:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    def load(self, order_id: str) -> Loaded:
        """Raises OrderNotFound."""
        order, last_event_at = Order(), None
        for recorded in self._store.read_stream(order_id):
            order.replay([recorded.event])
            last_event_at = recorded.occurred_at
        if last_event_at is None:
            raise OrderNotFound(order_id)
        return Loaded(order, last_event_at)

    def save(self, order: Order, *, now: datetime, metadata: Mapping[str, str]) -> list[RecordedEvent]:
        """Append what the order has decided. Raises WrongExpectedVersion."""
        new = [NewEvent(event=event, occurred_at=now, metadata=metadata) for event in order.uncommitted_events]
        recorded = self._store.append(order.id, order.committed_version, new)
        order.uncommitted_events.clear()
        return recorded
