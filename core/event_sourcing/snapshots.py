"""Comparing snapshots with the events that they stand for."""

from collections.abc import Collection, Iterator

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.database import driver_connection
from core.event_sourcing.event_store import Snapshot
from core.event_sourcing.postgres_store import PostgresEventStore
from core.event_sourcing.streams import IdList
from core.event_sourcing.tables import order_snapshots
from core.orders.order import STATE_SHAPE, Order


def wrong_snapshots(session: Session) -> Iterator[str]:
    """The orders with a snapshot that this release reads and that is not what their events say."""
    stored = order_snapshots.c
    query = select(stored.aggregate_id, stored.version, stored.shape, stored.occurred_at, stored.state)
    for order_id, *snapshot in session.execute(query.where(stored.shape == STATE_SHAPE).order_by(stored.aggregate_id)):
        if Snapshot(*snapshot) != _snapshot(session, order_id, snapshot[0]):
            yield order_id


def forget_snapshots(session: Session, order_ids: Collection[str]) -> None:
    """The next command that reads many events saves another."""
    session.execute(delete(order_snapshots).where(IdList(order_ids).among(order_snapshots.c.aggregate_id)))


def _snapshot(session: Session, order_id: str, version: int) -> Snapshot | None:
    """As it has to be; None if there are not so many events."""
    order, last_event_at = Order(), None
    for recorded in PostgresEventStore(driver_connection(session)).read_stream(order_id, until=version):
        order.replay([recorded.event])
        last_event_at = recorded.occurred_at
    if last_event_at is None or order.version != version:
        return None
    return Snapshot(version, STATE_SHAPE, last_event_at, order.state())
