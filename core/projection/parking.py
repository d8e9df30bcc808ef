"""Orders that a projector cannot bring further: tried again with growing pauses, then parked until somebody looks."""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    Exists,
    Integer,
    Table,
    Text,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session, sessionmaker

from core.database import metadata
from core.event_sourcing.streams import IdList
from core.event_sourcing.tables import events
from core.projection.project import Failure, Projected, project
from core.projection.read_model import ReadModel
from core.safe_errors import describe, trace
from core.settings import Patience

logger = logging.getLogger(__name__)

ORDERS_AT_ONCE = 1000

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


def project_patiently(
    sessions: sessionmaker[Session],
    name: str,
    model: ReadModel[Any],
    order_ids: Sequence[str],
    patience: Patience,
) -> Projected:
    """Project; orders that fail are tried again by catch-up, and parked in the end. Raises as `project` does."""
    projected = project(sessions, model, order_ids)
    if projected.failures:
        with sessions.begin() as session:
            record_failures(session, name, projected.failures.values(), patience)
    return projected


def record_failures(session: Session, name: str, failures: Iterable[Failure], patience: Patience) -> None:
    """Count an attempt for each that was due one."""
    for failure in sorted(failures, key=lambda failure: failure.order_id):
        row = {
            "projector": name,
            "order_id": failure.order_id,
            "version": failure.version,
            "error": describe(failure.error),
            "traceback": trace(failure.error),
            "most": patience.attempts,
            "first_pause": patience.first_pause,
            "longest_pause": patience.longest_pause,
        }
        counted = session.execute(RECORD, row).one_or_none()
        if counted is None:
            continue
        event = (name, failure.order_id, failure.version, counted.attempts)
        if counted.parked:
            logger.error("Parked: the %s projector cannot apply order %s version %d; %d attempts.", *event)
        else:
            logger.warning("The %s projector failed on order %s version %d, attempt %d; it is tried again.", *event)


def retry_due(sessions: sessionmaker[Session], name: str, model: ReadModel[Any], patience: Patience) -> Projected:
    """Try the orders whose pause is over, and forget those whose projection has gone on since.

    One that has gone on is tried too: who brought it there may have died before recording what stopped it next.
    Raises as `project` does."""
    known = projection_failures.c
    due = or_(known.next_attempt_at <= func.now(), _has_gone_on(model))
    query = select(known.order_id).where(known.projector == name, due).order_by(known.next_attempt_at, known.order_id)
    with sessions.begin() as session:
        order_ids = session.execute(query.limit(ORDERS_AT_ONCE)).scalars().all()
    result = Projected()
    if order_ids:
        result = project_patiently(sessions, name, model, sorted(order_ids), patience)
    with sessions.begin() as session:
        forget_overcome(session, name, model)
    return result


def forget_overcome(session: Session, name: str, model: ReadModel[Any]) -> None:
    """Remove what is recorded of orders whose row shows the event that once failed and all that follow."""
    shown = model.tables[0].c
    later = exists().where(events.c.aggregate_id == shown.order_id, events.c.version > shown.version)
    overcome = _has_gone_on(model).where(~later)
    session.execute(delete(projection_failures).where(projection_failures.c.projector == name, overcome))


def _has_gone_on(model: ReadModel[Any]) -> Exists:
    known, shown = projection_failures.c, model.tables[0].c
    return exists().where(shown.order_id == known.order_id, shown.version >= known.version)


def parked_orders(session: Session, names: Collection[str], limit: int | None = None) -> list[FailingOrder]:
    """The parked orders of these projectors, longest parked first."""
    return _find(session, names, projection_failures.c.next_attempt_at.is_(None), limit)


def failures_of(session: Session, names: Collection[str], order_id: str) -> list[FailingOrder]:
    """Where this order is parked or tried again."""
    return _find(session, names, projection_failures.c.order_id == order_id)


def _find(
    session: Session, names: Collection[str], condition: ColumnElement[bool], limit: int | None = None
) -> list[FailingOrder]:
    known = projection_failures.c
    query = select(projection_failures).where(known.projector.in_(names), condition).limit(limit)
    rows = session.execute(query.order_by(known.first_failed_at, known.order_id, known.projector)).mappings()
    return [FailingOrder(**row) for row in rows]


def failing_orders(session: Session, names: Collection[str]) -> list[tuple[str, str]]:
    """(projector, order id) of each order that is parked or still tried again."""
    known = projection_failures.c
    query = select(known.projector, known.order_id).where(known.projector.in_(names))
    return [(name, order_id) for name, order_id in session.execute(query.order_by(known.projector, known.order_id))]


def let_catch_up_retry(session: Session, names: Collection[str]) -> int:
    """Make every parked order of these projectors due once more; returns how many. One that fails is parked again."""
    known = projection_failures.c
    parked = update(projection_failures).where(known.projector.in_(names), known.next_attempt_at.is_(None))
    return len(session.execute(parked.values(next_attempt_at=func.now()).returning(known.order_id)).all())


def retry_now(
    sessions: sessionmaker[Session],
    name: str,
    model: ReadModel[Any],
    order_ids: Sequence[str],
    patience: Patience,
) -> Projected:
    """Try these failing orders once; a parked one that fails again stays parked. Raises as `project` does."""
    known, result = projection_failures.c, Projected()
    for start in range(0, len(order_ids), ORDERS_AT_ONCE):
        chosen = sorted(order_ids[start : start + ORDERS_AT_ONCE])
        due = update(projection_failures).where(known.projector == name, IdList(chosen).among(known.order_id))
        with sessions.begin() as session:
            session.execute(due.values(next_attempt_at=func.now()))
        projected = project_patiently(sessions, name, model, chosen, patience)
        result.add(projected)
    with sessions.begin() as session:
        forget_overcome(session, name, model)
    return result
