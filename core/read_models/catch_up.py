"""Finding and projecting events whose task was lost or late. The events table is the outbox.

A checkpoint is a (transaction id, position) per projector: everything up to it is applied. It orders by transaction
id first because a position alone can be passed while the transaction that holds a lower one is still open.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Row, Table, Text, func, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from core.database import XID8, metadata
from core.read_models.projector import Projector, project
from core.read_models.rows import ids_behind

logger = logging.getLogger(__name__)

BATCH = 1000

projector_checkpoints = Table(
    "projector_checkpoints",
    metadata,
    Column("projector", Text, primary_key=True),
    Column("transaction_id", XID8, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("moved_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

READ_CHECKPOINT = text("""
    SELECT transaction_id::text, position FROM projector_checkpoints WHERE projector = :projector
""")

# Transactions below the snapshot's xmin have all ended, so nothing can still appear at or before what this returns.
READ_SETTLED = text("""
    SELECT transaction_id::text, position, aggregate_id, version FROM events
    WHERE (transaction_id, position) > (CAST(:transaction_id AS xid8), :position)
      AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY events.transaction_id, position
    LIMIT :batch
""")

# Two catch-ups may run at once: a checkpoint never moves back.
MOVE_CHECKPOINT = text("""
    INSERT INTO projector_checkpoints AS stored (projector, transaction_id, position, moved_at)
    VALUES (:projector, CAST(:transaction_id AS xid8), :position, now())
    ON CONFLICT (projector) DO UPDATE
    SET transaction_id = excluded.transaction_id, position = excluded.position, moved_at = excluded.moved_at
    WHERE (stored.transaction_id, stored.position) < (excluded.transaction_id, excluded.position)
""")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`transaction_id` is a 64-bit number; psycopg hands xid8 over as text."""

    transaction_id: str
    position: int


BEGINNING = Checkpoint("0", 0)


@dataclass(slots=True)
class CatchUp:
    """What one run did: settled events looked at, orders that were behind and now are not, orders that failed."""

    events: int = 0
    projected: int = 0
    failed: set[str] = field(default_factory=set)


def catch_up(sessions: sessionmaker[Session], name: str, projector: Projector[Any]) -> CatchUp:
    """Project what the settled events ask for, to the end of the log. Safe to run twice at once.

    An order whose projector raises is logged and holds the checkpoint, so that the next run tries it again; the
    others go on. Raises DBAPIError when the database fails."""
    result = CatchUp()
    with sessions.begin() as session:
        reached = _read_checkpoint(session, name)
    while batch := _read_batch(sessions, reached):
        held = bool(result.failed)
        _project_batch(sessions, name, projector, batch, result)
        reached = Checkpoint(batch[-1].transaction_id, batch[-1].position)
        applied = list(takewhile(lambda event: event.aggregate_id not in result.failed, batch))
        if applied and not held:
            _move_checkpoint(sessions, name, Checkpoint(applied[-1].transaction_id, applied[-1].position))
    return result


def _project_batch(
    sessions: sessionmaker[Session], name: str, projector: Projector[Any], batch: Sequence[Row[Any]], result: CatchUp
) -> None:
    versions = {event.aggregate_id: event.version for event in sorted(batch, key=lambda event: int(event.version))}
    with sessions.begin() as session:
        behind = ids_behind(session, projector.tables[0], versions)
    for order_id in behind:
        try:
            project(sessions, projector, order_id)
        except DBAPIError:
            raise
        except Exception:
            logger.exception("The %s projector failed on order %s; its next catch-up tries again.", name, order_id)
            result.failed.add(order_id)
        else:
            result.projected += 1
    result.events += len(batch)


def _read_checkpoint(session: Session, name: str) -> Checkpoint:
    row = session.execute(READ_CHECKPOINT, {"projector": name}).one_or_none()
    return Checkpoint(*row) if row else BEGINNING


def _read_batch(sessions: sessionmaker[Session], reached: Checkpoint) -> Sequence[Row[Any]]:
    with sessions.begin() as session:
        return session.execute(READ_SETTLED, {**asdict(reached), "batch": BATCH}).all()


def _move_checkpoint(sessions: sessionmaker[Session], name: str, reached: Checkpoint) -> None:
    with sessions.begin() as session:
        session.execute(MOVE_CHECKPOINT, {"projector": name, **asdict(reached)})
