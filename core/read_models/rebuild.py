"""Making read models again from events while everything keeps running: range by range of order ids, in place.

The ranges stand in a table. Whoever helps takes the next one that nobody has, and ticks it off in the transaction that
writes its rows; so helpers may be few or many, here or on the workers, and may die at any moment.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Boolean, Column, DateTime, Integer, Table, Text, delete, exists, false, func, select, text
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from core.database import metadata
from core.event_sourcing.ids import IdRange, Ids
from core.event_sourcing.postgres_store import PostgresEventStore, events
from core.read_models.announcements import announce
from core.read_models.parking import forget_overcome, record_failures
from core.read_models.projector import Failure, Projector, fold_rows, read_rows
from core.settings import Patience

EVENTS_PER_RANGE = 5000

rebuild_ranges = Table(
    "rebuild_ranges",
    metadata,
    Column("rebuild_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("from_id", Text, nullable=False),
    Column("until_id", Text),
    Column("events", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("done", Boolean, nullable=False, server_default=false()),
)

# A range ends where a stream begins. The last is open: orders placed meanwhile fall into it.
PLAN = text("""
    WITH streams AS (
        SELECT aggregate_id, count(*) AS events FROM events GROUP BY aggregate_id
    ), numbered AS (
        SELECT aggregate_id, events, div(sum(events) OVER (ORDER BY aggregate_id) - events, :size) AS number
        FROM streams
    ), ranges AS (
        SELECT number, min(aggregate_id) AS first_id, sum(events) AS events FROM numbered GROUP BY number
    )
    INSERT INTO rebuild_ranges (rebuild_id, number, from_id, until_id, events)
    SELECT :rebuild_id, number, CASE number WHEN 0 THEN '' ELSE first_id END,
           lead(first_id) OVER (ORDER BY number), events
    FROM ranges
""")

CLAIM = text("""
    UPDATE rebuild_ranges SET done = true
    WHERE rebuild_id = :rebuild_id AND number = (
        SELECT number FROM rebuild_ranges
        WHERE rebuild_id = :rebuild_id AND NOT done
        ORDER BY number LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
    RETURNING from_id, until_id
""")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild is, in events; `seconds` since its start."""

    done: int
    total: int
    ranges_left: int
    seconds: float

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.done / self.seconds if self.seconds else 0.0


class Rebuild:
    """A plan that helpers work off with `rebuild_next_range`."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self.id = str(uuid4())
        self._sessions = sessions
        self._started = time.monotonic()
        with sessions.begin() as session:
            abandoned = rebuild_ranges.c.created_at < func.now() - text("interval '1 day'")
            session.execute(delete(rebuild_ranges).where(abandoned))
            session.execute(PLAN, {"rebuild_id": self.id, "size": EVENTS_PER_RANGE})
            if not session.execute(select(exists().where(rebuild_ranges.c.rebuild_id == self.id))).scalar_one():
                session.execute(rebuild_ranges.insert().values(rebuild_id=self.id, number=0, from_id="", events=0))

    def progress(self) -> Progress:
        table = rebuild_ranges.c
        query = select(table.done, func.count(), func.sum(table.events)).where(table.rebuild_id == self.id)
        with self._sessions.begin() as session:
            found = {done: (count, number) for done, count, number in session.execute(query.group_by(table.done))}
        left, events_left = found.get(False, (0, 0))
        _, events_done = found.get(True, (0, 0))
        return Progress(events_done, events_done + events_left, left, time.monotonic() - self._started)

    def finish(self) -> None:
        """Forget the plan; who still wants to help finds nothing to do."""
        with self._sessions.begin() as session:
            session.execute(delete(rebuild_ranges).where(rebuild_ranges.c.rebuild_id == self.id))


def rebuild_next_range(
    sessions: sessionmaker[Session], rebuild_id: str, projectors: Mapping[str, Projector[Any]], patience: Patience
) -> bool:
    """Take the next range and make its rows again; False when there is none left to take. Raises DBAPIError."""
    with sessions.begin() as session:
        claimed = session.execute(CLAIM, {"rebuild_id": rebuild_id}).one_or_none()
        if claimed is None:
            return False
        rebuild_orders(session, IdRange(claimed.from_id, claimed.until_id), projectors, patience)
    return True


def rebuild_orders(
    session: Session, ids: Ids, projectors: Mapping[str, Projector[Any]], patience: Patience
) -> dict[str, dict[str, Failure]]:
    """Make the rows of these orders from their whole streams, and remove rows that have no events.

    The streams are read after the rows are locked, so what is written is never older than what it overwrites; a row
    that did not exist to be locked is written only if nobody has brought it further meanwhile. An order that fails is
    recorded as failing; its failures are returned by the projectors' names."""
    locked = {name: _lock(session, projector, ids) for name, projector in projectors.items()}
    stream = list(read_rows(PostgresEventStore(session).read_streams(ids)))
    failures = {}
    for name, projector in projectors.items():
        views, failures[name] = fold_rows(projector, stream, {})
        failures[name].update(_replace(session, projector, list(views.values()), locked[name]))
        announce(session, list(views))
        record_failures(session, name, failures[name].values(), patience)
        forget_overcome(session, name, projector)
        for table in projector.tables:
            _remove_strays(session, table, ids)
    return failures


def _lock(session: Session, projector: Projector[Any], ids: Ids) -> list[str]:
    rows = projector.tables[0].c
    query = select(rows.order_id).where(ids.among(rows.order_id)).order_by(rows.order_id).with_for_update()
    return list(session.execute(query).scalars())


def _replace(
    session: Session, projector: Projector[Any], views: Sequence[Any], locked: Sequence[str]
) -> dict[str, Failure]:
    """Write them; a row that the database refuses keeps nobody else's from being written."""
    try:
        with session.begin_nested():
            projector.replace(session, views, locked=locked)
    except (DataError, IntegrityError) as refusal:
        if len(views) == 1:
            return {views[0].order_id: Failure(views[0].order_id, views[0].version, refusal)}
    else:
        return {}
    failures = {}
    for view in views:
        failures.update(_replace(session, projector, [view], locked))
    return failures


def _remove_strays(session: Session, table: Table, ids: Ids) -> None:
    """An order's row is committed after its events, so a row whose events cannot be seen has none."""
    has_events = exists().where(events.c.aggregate_id == table.c.order_id)
    session.execute(delete(table).where(ids.among(table.c.order_id), ~has_events))
