"""The plan of a rebuild: ranges of order ids with about as many events each, in a table.

Whoever helps claims the next range that nobody has, and so ticks it off in the transaction that writes its rows. So
helpers may be few or many, here or on the workers, and may die at any moment.
"""

import time
from dataclasses import dataclass
from typing import Self
from uuid import uuid4

from sqlalchemy import Boolean, Column, Integer, Table, Text, delete, false, text
from sqlalchemy.orm import Session, sessionmaker

from core.database import is_pooled, metadata
from core.event_sourcing.streams import IdRange

EVENTS_PER_RANGE = 5000

rebuild_ranges = Table(
    "rebuild_ranges",
    metadata,
    Column("rebuild_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("from_id", Text, nullable=False),
    Column("until_id", Text),
    Column("events", Integer, nullable=False),
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
    UNION ALL
    SELECT :rebuild_id, 0, '', NULL, 0 WHERE NOT EXISTS (SELECT FROM ranges)
""")

# A rebuild holds this lock while it lives; PostgreSQL frees it when the connection ends, however that comes about.
HOLD = text("SELECT pg_advisory_lock(hashtext('orderlog.rebuild'), hashtext(:rebuild_id))")

# Behind a pooler only a transaction can hold it. It writes and reads nothing, so that nobody waits for it to end.
KEEP_OPEN = text("""
    SELECT set_config(name, '0', true) FROM pg_settings
    WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')
""")
HOLD_IN_TRANSACTION = text("SELECT pg_advisory_xact_lock(hashtext('orderlog.rebuild'), hashtext(:rebuild_id))")

# Those of requests (core/projection/rebuild_requests.py) belong to no connection; they are kept until the request ends.
FORGET_ABANDONED = text("""
    DELETE FROM rebuild_ranges
    WHERE rebuild_id NOT IN (SELECT id::text FROM operator_actions WHERE ended_at IS NULL)
      AND pg_try_advisory_xact_lock(hashtext('orderlog.rebuild'), hashtext(rebuild_id))
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

PROGRESS = text("""
    SELECT coalesce(sum(events) FILTER (WHERE done), 0) AS done, coalesce(sum(events), 0) AS total,
           count(*) FILTER (WHERE NOT done) AS ranges_left, count(*) AS ranges
    FROM rebuild_ranges WHERE rebuild_id = :rebuild_id
""")


class PlanIsGone(Exception):
    """The connection that held the lock was lost, so that another rebuild took this one for dead."""

    def __init__(self) -> None:
        super().__init__("Another rebuild has removed the plan of this one; run the command again.")


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


class RebuildPlan:
    """Made when the block begins and forgotten when it ends; who still wants to help then finds nothing to do."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self.id = str(uuid4())
        self._sessions = sessions
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._holding = self._sessions.kw["bind"].connect()
        if is_pooled(self._holding):
            self._holding.execute(KEEP_OPEN)
            self._holding.execute(HOLD_IN_TRANSACTION, {"rebuild_id": self.id})
        else:
            self._holding.execution_options(isolation_level="AUTOCOMMIT").execute(HOLD, {"rebuild_id": self.id})
        try:
            with self._sessions.begin() as session:
                session.execute(FORGET_ABANDONED)
            with self._sessions.begin() as session:
                make_plan(session, self.id)
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with self._sessions.begin() as session:
                forget(session, self.id)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._holding.invalidate()  # closes the connection: it must not go back into the pool with the lock
        self._holding.close()

    def progress(self) -> Progress:
        """Raises PlanIsGone."""
        with self._sessions.begin() as session:
            found = session.execute(PROGRESS, {"rebuild_id": self.id}).one()
        if not found.ranges:
            raise PlanIsGone
        return Progress(found.done, found.total, found.ranges_left, time.monotonic() - self._started)


def make_plan(session: Session, rebuild_id: str) -> None:
    session.execute(PLAN, {"rebuild_id": rebuild_id, "size": EVENTS_PER_RANGE})


def forget(session: Session, rebuild_id: str) -> None:
    """Its plan; who still wants to help finds nothing to do."""
    session.execute(delete(rebuild_ranges).where(rebuild_ranges.c.rebuild_id == rebuild_id))


def ranges(session: Session, rebuild_id: str) -> tuple[int, int]:
    """How many are done, of how many."""
    found = session.execute(PROGRESS, {"rebuild_id": rebuild_id}).one()
    return found.ranges - found.ranges_left, found.ranges


def claim_range(session: Session, rebuild_id: str) -> IdRange | None:
    """The next range, done when the transaction commits; None if there is none that nobody has."""
    claimed = session.execute(CLAIM, {"rebuild_id": rebuild_id}).one_or_none()
    return IdRange(claimed.from_id, claimed.until_id) if claimed else None
