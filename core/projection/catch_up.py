"""Finding and projecting events whose task was lost or late. The events table is the outbox.

A checkpoint is an (epoch, transaction id, position) per projector: everything up to it is applied, or known to have
failed. A position alone can be passed while the transaction that holds a lower one is still open; transaction ids
begin low when the database moves to another cluster, which begins an epoch.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Integer, Row, Table, Text, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from core.database import XID8, metadata
from core.event_sourcing.feed import SETTLED_BELOW
from core.event_sourcing.streams import IdList
from core.projection.parking import project_patiently, retry_due
from core.projection.project import Failure
from core.projection.read_model import ReadModel
from core.projection.sums import fold
from core.safe_errors import DATABASE_ERRORS, describe
from core.settings import Patience

logger = logging.getLogger(__name__)

BATCH = 1000  # events

projector_checkpoints = Table(
    "projector_checkpoints",
    metadata,
    Column("projector", Text, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("transaction_id", XID8, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("moved_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("checked_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# Makes the checkpoint at the beginning, for the first time.
OPEN_CHECKPOINT = text("""
    INSERT INTO projector_checkpoints AS stored (projector, epoch, transaction_id, position)
    VALUES (:projector, 0, '0', 0)
    ON CONFLICT (projector) DO UPDATE SET projector = stored.projector
    RETURNING epoch, transaction_id::text, position
""")

# Begins an epoch if the database was moved; so do the defaults of `events`, for whoever comes first.
LOG_EPOCH = text("SELECT log_epoch()")

READ_SETTLED = text(f"""
    SELECT epoch, transaction_id::text, position, aggregate_id, version FROM events
    WHERE (epoch, transaction_id, position) > (:epoch, CAST(:transaction_id AS xid8), :position)
      AND (epoch, transaction_id) < ({SETTLED_BELOW})
    ORDER BY epoch, events.transaction_id, position
    LIMIT :batch
""")

# Two catch-ups may run at once: a checkpoint never moves back.
MOVE_CHECKPOINT = text("""
    UPDATE projector_checkpoints
    SET epoch = :epoch, transaction_id = CAST(:transaction_id AS xid8), position = :position,
        moved_at = now(), checked_at = now()
    WHERE projector = :projector
      AND (epoch, transaction_id, position) < (:epoch, CAST(:transaction_id AS xid8), :position)
""")

# A run that breaks off does not say so: readiness tells when none has come to its end for long; nor does one that could
# not go on: where events wait, `moved_at` stays.
HAVE_COME_BY = text("""
    UPDATE projector_checkpoints AS reached
    SET checked_at = now(), moved_at = CASE WHEN EXISTS (
        SELECT FROM events
        WHERE (epoch, transaction_id, position) > (reached.epoch, reached.transaction_id, reached.position)
    ) THEN moved_at ELSE now() END
    WHERE projector = :projector
""")

TRY_TO_BE_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtext('orderlog.catch_up'), hashtext(:projector))")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`transaction_id` is a 64-bit number; psycopg hands xid8 over as text."""

    epoch: int
    transaction_id: str
    position: int


@dataclass(slots=True)
class CaughtUp:
    """What one run did: settled events looked at, orders brought up to date, orders that failed."""

    events: int = 0
    projected: int = 0
    failures: dict[str, Failure] = field(default_factory=dict)


def catch_up(
    sessions: sessionmaker[Session], name: str, model: ReadModel[Any], patience: Patience | None = None
) -> CaughtUp:
    """Project what the settled events ask for, to the end of the log as it is now. Safe to run twice at once.

    An order that fails is tried again by a later run, and parked in the end; the others go on. Raises as `project`
    does, having moved the checkpoint over what is done."""
    patience = patience or Patience()
    retried = retry_due(sessions, name, model, patience)
    result = CaughtUp(projected=len(retried.versions.keys() - retried.failures), failures=retried.failures)
    with sessions.begin() as session:
        session.execute(LOG_EPOCH)  # begins one if the database was moved
        reached = Checkpoint(*session.execute(OPEN_CHECKPOINT, {"projector": name}).one())
    _fold_sums(sessions, model)  # rebuilds and hints have changed rows too
    while batch := _read_batch(sessions, reached):
        if 0 < reached.epoch < (epoch := batch[-1].epoch):
            moved = "The database was moved to another cluster; catch-up of %s goes on in epoch %d."
            logger.warning(moved, name, epoch)
        behind = _behind(sessions, model, batch)
        if behind:
            projected = project_patiently(sessions, name, model, behind, patience)
            result.failures.update(projected.failures)
            result.projected += len(behind) - len(projected.failures)
        reached = Checkpoint(batch[-1].epoch, batch[-1].transaction_id, batch[-1].position)
        result.events += len(batch)
        with sessions.begin() as session:
            session.execute(MOVE_CHECKPOINT, {"projector": name, **asdict(reached)})
        _fold_sums(sessions, model)
        if len(batch) < BATCH:  # what has come meanwhile is left to the next run, or this one might never end
            break
    with sessions.begin() as session:
        session.execute(HAVE_COME_BY, {"projector": name})
    return result


def _fold_sums(sessions: sessionmaker[Session], model: ReadModel[Any]) -> None:
    """Sums are right without it, so it never stops the projecting."""
    for sums in model.sums:
        try:
            with sessions.begin() as session:
                fold(session, sums)
        except DATABASE_ERRORS as error:
            logger.warning("%s was not folded (%s); the next catch-up tries again.", sums.table.name, describe(error))


@contextmanager
def alone(sessions: sessionmaker[Session], name: str) -> Iterator[bool]:
    """Whether nobody else is in such a block for this projector; while one is long at work, others need not help."""
    with sessions() as session:  # the lock ends with the transaction, which ends with the block or its process
        yield bool(session.execute(TRY_TO_BE_ALONE, {"projector": name}).scalar_one())


def _read_batch(sessions: sessionmaker[Session], reached: Checkpoint) -> Sequence[Row[Any]]:
    with sessions.begin() as session:
        return session.execute(READ_SETTLED, {**asdict(reached), "batch": BATCH}).all()


def _behind(sessions: sessionmaker[Session], model: ReadModel[Any], batch: Sequence[Row[Any]]) -> list[str]:
    """The orders of these events whose row does not show them."""
    versions: dict[str, int] = {}
    for event in batch:
        versions[event.aggregate_id] = max(event.version, versions.get(event.aggregate_id, 0))
    head = model.tables[0].c
    query = select(head.order_id, head.version).where(IdList(versions).among(head.order_id))
    with sessions.begin() as session:
        shown = dict(session.execute(query).all())
    return sorted(order_id for order_id, version in versions.items() if shown.get(order_id, 0) < version)
