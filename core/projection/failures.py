"""The table of orders that a projector could not bring further, and how an attempt is counted in it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, DateTime, Integer, Table, Text, text

from core.database import metadata

# An order is parked when no next attempt is due.
projection_failures = Table(
    "projection_failures",
    metadata,
    Column("projector", Text, primary_key=True),
    Column("order_id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("traceback", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_failed_at", DateTime(timezone=True), nullable=False),
    Column("last_failed_at", DateTime(timezone=True), nullable=False),
    Column("next_attempt_at", DateTime(timezone=True)),
)

# Times are the database's, so that clocks which differ between machines do not matter. An attempt that was made before
# it was due, for a hint of a later event, does not count, and one on a parked order neither.
RECORD = text("""
    INSERT INTO projection_failures AS known (projector, order_id, version, error, traceback, attempts,
                                              first_failed_at, last_failed_at, next_attempt_at)
    VALUES (:projector, :order_id, :version, :error, :traceback, 1, now(), now(),
            CASE WHEN :most > 1
                 THEN now() + make_interval(secs => least(:longest_pause, :first_pause) * (0.5 + random())) END)
    ON CONFLICT (projector, order_id) DO UPDATE
    SET version = excluded.version, error = excluded.error, traceback = excluded.traceback, last_failed_at = now(),
        attempts = CASE WHEN known.version = excluded.version THEN known.attempts + 1 ELSE 1 END,
        first_failed_at = CASE WHEN known.version = excluded.version THEN known.first_failed_at ELSE now() END,
        next_attempt_at = CASE
            WHEN known.version <> excluded.version THEN excluded.next_attempt_at
            WHEN known.attempts + 1 < :most THEN now() + make_interval(
                secs => least(:longest_pause, :first_pause * 2 ^ least(known.attempts, 30)) * (0.5 + random()))
        END
    WHERE known.version <> excluded.version OR known.next_attempt_at <= now()
    RETURNING attempts, next_attempt_at IS NULL AS parked
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingOrder:
    """`version` is that of the event which the projector cannot apply; without a next attempt the order is parked."""

    projector: str
    order_id: str
    version: int
    error: str
    traceback: str
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    next_attempt_at: datetime | None
