"""Putting events into a database: straight, as if commands had appended them, or by commands at a chosen time."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from core.command_handler import OrderCommandHandler
from core.database import driver_connection
from core.event_sourcing.event_store import NewEvent
from core.event_sourcing.postgres_store import PostgresEventStore, stores
from core.orders.commands import OrderCommand
from core.orders.events import OrderEvent
from tests.support.examples import NOON, ORDER_ID


def append(
    sessions: sessionmaker[Session],
    events: Sequence[OrderEvent],
    *,
    order_id: str = ORDER_ID,
    after: int = 0,
    occurred_at: datetime = NOON,
) -> None:
    """One transaction; the events' own order_id is left as it is."""
    with sessions.begin() as session:
        new = [NewEvent(event=event, occurred_at=occurred_at) for event in events]
        PostgresEventStore(driver_connection(session)).append(order_id, after, new)


def handle(sessions: sessionmaker[Session], command: OrderCommand, *, at: datetime) -> None:
    """By a clock that says so. Raises OrderError."""
    OrderCommandHandler(stores(sessions.kw["bind"]), lambda: at).handle(command)
