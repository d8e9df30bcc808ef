"""Making read models again from events while everything keeps running: order by order, in place."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, delete, exists, text
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.postgres_store import PostgresEventStore, events
from core.read_models.projector import Projector, fold

BATCH = 500

COUNT_ORDERS = text("SELECT count(*) FROM events WHERE version = 1")

NEXT_ORDERS = text("""
    SELECT aggregate_id FROM events
    WHERE version = 1 AND aggregate_id > :after
    ORDER BY aggregate_id
    LIMIT :batch
""")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild is; `seconds` since its start."""

    done: int
    total: int
    seconds: float

    @property
    def rate(self) -> float:
        """Orders per second."""
        return self.done / self.seconds if self.seconds else 0.0


def rebuild(
    sessions: sessionmaker[Session], projector: Projector[Any], report: Callable[[Progress], None]
) -> tuple[int, int]:
    """Make every row from its whole stream and remove rows of orders without events.

    Readers see each row before or after, never in between. Returns how many orders were made and rows removed."""
    started, done = time.monotonic(), 0
    with sessions.begin() as session:
        total = session.execute(COUNT_ORDERS).scalar_one()
    report(Progress(0, total, 0.0))
    for order_ids in _batches(sessions):
        with sessions.begin() as session:
            rebuild_orders(session, projector, order_ids)
        done += len(order_ids)
        report(Progress(done, max(done, total), time.monotonic() - started))
    with sessions.begin() as session:
        removed = sum(_remove_strays(session, table) for table in projector.tables)
    return done, removed


def rebuild_orders(session: Session, projector: Projector[Any], order_ids: Sequence[str]) -> None:
    """Make these orders' rows from their whole streams.

    The streams are read after the rows are locked, so what is written is never older than what it overwrites; a row
    that did not exist to be locked is written only if nobody has brought it further meanwhile."""
    locked = projector.lock(session, order_ids)
    views = fold(projector, PostgresEventStore(session).read_streams(order_ids))
    projector.replace(session, list(views.values()), locked=locked.keys())


def _batches(sessions: sessionmaker[Session]) -> Iterator[Sequence[str]]:
    after = ""
    while True:
        with sessions.begin() as session:
            batch = session.execute(NEXT_ORDERS, {"after": after, "batch": BATCH}).scalars().all()
        if not batch:
            return
        yield batch
        after = batch[-1]


def _remove_strays(session: Session, table: Table) -> int:
    """An order's row is committed after its events, so a row whose events cannot be seen has none."""
    stray = delete(table).where(~exists().where(events.c.aggregate_id == table.c.order_id))
    return len(session.execute(stray.returning(table.c.order_id)).all())
