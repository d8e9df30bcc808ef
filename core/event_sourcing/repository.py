"""Loads and saves orders; an order is nothing but its events, and a snapshot spares a long one reading them all."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from core.event_sourcing.event_store import EventStore, NewEvent, RecordedEvent, Snapshot
from core.idempotency import IdempotencyKey
from core.orders.errors import OrderNotFound
from core.orders.order import STATE_SHAPE, Order

SNAPSHOT_EVERY = 100  # events


class Loaded(NamedTuple):
    """`replayed` events were read: those after the snapshot, or all."""

    order: Order
    last_event_at: datetime
    replayed: int


class OrderRepository:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    def load(self, order_id: str) -> Loaded:
        """Raises OrderNotFound."""
        snapshot, stream = self._store.read_from_snapshot(order_id, STATE_SHAPE)
        order, last_event_at, replayed = Order(), None, 0
        if snapshot is not None:
            order, last_event_at = Order.from_state(snapshot.state, snapshot.version), snapshot.occurred_at
        for recorded in stream:
            order.replay([recorded.event])
            last_event_at = recorded.occurred_at
            replayed += 1
        if last_event_at is None:
            raise OrderNotFound(order_id)
        return Loaded(order, last_event_at, replayed)

    def save(
        self,
        order: Order,
        *,
        now: datetime,
        metadata: Mapping[str, str],
        once: IdempotencyKey | None = None,
        replayed: int = 0,
    ) -> list[RecordedEvent]:
        """Append what the order has decided, and a snapshot if many events were `replayed` to load it.

        Raises WrongExpectedVersion, KeyUsed."""
        new = [NewEvent(event=event, occurred_at=now, metadata=metadata) for event in order.uncommitted_events]
        snapshot = None
        if replayed + len(new) >= SNAPSHOT_EVERY:
            snapshot = Snapshot(order.version, STATE_SHAPE, now, order.state())
        recorded = self._store.append(order.id, order.committed_version, new, once=once, snapshot=snapshot)
        order.uncommitted_events.clear()
        return recorded
