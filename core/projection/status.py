"""How far each projector is: the one source of these numbers for commands, screens and metrics."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.projection.projector import Projector

# Events at or below the checkpoint are applied or recorded as failing, so only what is new is counted. A subquery,
# unlike a join, is never planned as a scan of the whole read model.
LAG = """
    SELECT count(*) AS events_behind,
           coalesce(extract(epoch FROM now() - min(event.occurred_at)), 0)::float AS seconds_behind
    FROM events AS event
    WHERE (event.transaction_id, event.position) > (CAST(:transaction_id AS xid8), :position)
      AND event.version > coalesce((SELECT version FROM {table} WHERE order_id = event.aggregate_id), 0)
"""

CHECKPOINT = text("""
    SELECT transaction_id::text, position, extract(epoch FROM now() - checked_at)::float AS seconds_since_catch_up,
           CASE WHEN now() - sampled_at > interval '2 minutes' THEN 0 ELSE events_per_second END AS events_per_second
    FROM projector_checkpoints WHERE projector = :projector
""")

CHECKED = text("""
    SELECT projector, extract(epoch FROM now() - checked_at)::float FROM projector_checkpoints
    WHERE projector = ANY(:projectors)
""")

LAST_CHECKED = text("SELECT min(checked_at) FROM projector_checkpoints WHERE projector = ANY(:projectors)")

FAILING = text("""
    SELECT count(*) FILTER (WHERE next_attempt_at IS NULL), count(*) FILTER (WHERE next_attempt_at IS NOT NULL)
    FROM projection_failures WHERE projector = :projector
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectorStatus:
    """`checkpoint` is a position; `seconds_behind` the age of the oldest event that is not projected, 0 if none.
    Orders that failed do not count there: they are the parked and the retrying ones.

    `events_per_second` passed the checkpoint in the last whole minute; `seconds_since_catch_up` is None before the
    first one."""

    checkpoint: int
    events_behind: int
    seconds_behind: float
    parked_orders: int
    retrying_orders: int
    events_per_second: float
    seconds_since_catch_up: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`last_position` is that of the newest event, 0 if there is none."""

    last_position: int
    projectors: Mapping[str, ProjectorStatus]


def status(session: Session, projectors: Mapping[str, Projector[Any]]) -> Status:
    last = session.execute(text("SELECT coalesce(max(position), 0) FROM events")).scalar_one()
    return Status(
        last_position=last,
        projectors={name: _projector_status(session, name, projector) for name, projector in projectors.items()},
    )


def seconds_since_catch_up(session: Session, names: Collection[str]) -> float | None:
    """Since the one of these projectors that catch-up has visited longest ago; None if it has never visited one."""
    rows = session.execute(CHECKED, {"projectors": list(names)})
    found = {name: float(seconds) for name, seconds in rows}
    return max(found.values()) if found.keys() == set(names) else None


def last_catch_up(session: Session, names: Collection[str]) -> datetime | None:
    """When the one of these projectors was visited that catch-up has visited longest ago; None if it has visited none.

    Of two servers that is how far one is behind the other, whatever their clocks say."""
    found: datetime | None = session.execute(LAST_CHECKED, {"projectors": list(names)}).scalar()
    return found


def _projector_status(session: Session, name: str, projector: Projector[Any]) -> ProjectorStatus:
    found = session.execute(CHECKPOINT, {"projector": name}).one_or_none()
    transaction_id, position = (found.transaction_id, found.position) if found else ("0", 0)
    lag = session.execute(
        text(LAG.format(table=projector.tables[0].name)), {"transaction_id": transaction_id, "position": position}
    ).one()
    parked, retrying = session.execute(FAILING, {"projector": name}).one()
    return ProjectorStatus(
        checkpoint=position,
        events_behind=lag.events_behind,
        seconds_behind=max(0.0, lag.seconds_behind),
        parked_orders=parked,
        retrying_orders=retrying,
        events_per_second=found.events_per_second if found else 0.0,
        seconds_since_catch_up=found.seconds_since_catch_up if found else None,
    )
