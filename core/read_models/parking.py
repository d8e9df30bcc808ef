"""Orders that a projector cannot bring further: tried again with growing pauses, then parked until somebody looks."""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from traceback import format_exception
from typing import Any

from sqlalchemy import Column, DateTime, Integer, Table, Text, delete, exists, func, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from core.database import metadata
from core.read_models.projector import Failure, Projected, Projector, project
from core.settings import Patience

logger = logging.getLogger(__name__)

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
            CASE WHEN :most > 1 THEN now() + make_interval(secs => :first_pause * (0.5 + random())) END)
    ON CONFLICT (projector, order_id) DO UPDATE
    SET version = excluded.version, error = excluded.error, traceback = excluded.traceback, last_failed_at = now(),
        attempts = CASE WHEN known.version = excluded.version THEN known.attempts + 1 ELSE 1 END,
        first_failed_at = CASE WHEN known.version = excluded.version THEN known.first_failed_at ELSE now() END,
        next_attempt_at = CASE
            WHEN known.version <> excluded.version THEN excluded.next_attempt_at
            WHEN known.attempts + 1 < :most THEN now() + make_interval(
                secs => least(:longest_pause, :first_pause * 2 ^ known.attempts) * (0.5 + random()))
        END
    WHERE known.version <> excluded.version OR known.next_attempt_at <= now()
    RETURNING attempts, next_attempt_at IS NULL AS parked
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedOrder:
    """`version` is that of the event which the projector cannot apply."""

    projector: str
    order_id: str
    version: int
    error: str
    traceback: str
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime


def project_patiently(
    sessions: sessionmaker[Session],
    name: str,
    projector: Projector[Any],
    order_ids: Sequence[str],
    patience: Patience,
) -> Projected:
    """Project; orders that fail are tried again by catch-up, and parked in the end. Raises as `project` does."""
    projected = project(sessions, projector, order_ids)
    if projected.failures:
        with sessions.begin() as session:
            record_failures(session, name, projected.failures.values(), patience)
    return projected


def record_failures(session: Session, name: str, failures: Iterable[Failure], patience: Patience) -> None:
    """Count an attempt for each that was due one."""
    for failure in sorted(failures, key=lambda each: each.order_id):
        _record(session, name, failure, patience)


def retry_due(sessions: sessionmaker[Session], name: str, projector: Projector[Any], patience: Patience) -> None:
    """Try the orders whose pause is over, and forget those whose projection has gone on since."""
    with sessions.begin() as session:
        known = projection_failures.c
        due = select(known.order_id).where(known.projector == name, known.next_attempt_at <= func.now())
        order_ids = session.execute(due.order_by(known.order_id)).scalars().all()
    if order_ids:
        project_patiently(sessions, name, projector, order_ids, patience)
    with sessions.begin() as session:
        forget_overcome(session, name, projector)


def forget_overcome(session: Session, name: str, projector: Projector[Any]) -> None:
    """Remove what is recorded of orders whose view shows the event that once failed."""
    known, shown = projection_failures.c, projector.tables[0].c
    overcome = exists().where(shown.order_id == known.order_id, shown.version >= known.version)
    session.execute(delete(projection_failures).where(known.projector == name, overcome))


def parked_orders(session: Session, names: Collection[str], order_id: str | None = None) -> list[ParkedOrder]:
    """The parked orders of these projectors, longest parked first."""
    known = projection_failures.c
    columns = (known[field] for field in ParkedOrder.__dataclass_fields__)
    query = select(*columns).where(known.projector.in_(names), known.next_attempt_at.is_(None))
    if order_id is not None:
        query = query.where(known.order_id == order_id)
    rows = session.execute(query.order_by(known.first_failed_at, known.order_id, known.projector)).mappings()
    return [ParkedOrder(**row) for row in rows]


def failing_orders(session: Session, names: Collection[str]) -> list[tuple[str, str]]:
    """(projector, order id) of each order that is parked or still tried again."""
    known = projection_failures.c
    query = select(known.projector, known.order_id).where(known.projector.in_(names))
    return [(name, order_id) for name, order_id in session.execute(query.order_by(known.projector, known.order_id))]


def retry_parked(
    sessions: sessionmaker[Session],
    name: str,
    projector: Projector[Any],
    order_ids: Sequence[str],
    patience: Patience,
) -> Projected:
    """Try these parked orders once; those that fail again stay parked. Raises as `project` does."""
    known = projection_failures.c
    chosen = (known.projector == name) & known.order_id.in_(order_ids)
    with sessions.begin() as session:
        session.execute(update(projection_failures).where(chosen).values(next_attempt_at=func.now()))
    projected = project_patiently(sessions, name, projector, sorted(order_ids), patience)
    with sessions.begin() as session:
        forget_overcome(session, name, projector)
    return projected


def _record(session: Session, name: str, failure: Failure, patience: Patience) -> None:
    row = {
        "projector": name,
        "order_id": failure.order_id,
        "version": failure.version,
        "error": _storable(f"{type(failure.error).__name__}: {failure.error}"),
        "traceback": _storable("".join(format_exception(failure.error))),
        "most": patience.attempts,
        "first_pause": patience.first_pause,
        "longest_pause": patience.longest_pause,
    }
    counted = session.execute(RECORD, row).one_or_none()
    if counted is None:
        return
    what = (name, failure.order_id, failure.version, counted.attempts)
    if counted.parked:
        logger.error("Parked: the %s projector cannot apply order %s version %d; %d attempts.", *what)
    else:
        logger.warning("The %s projector failed on order %s version %d, attempt %d; it is tried again.", *what)


def _storable(text: str) -> str:
    """PostgreSQL stores neither NUL nor lone surrogates."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
