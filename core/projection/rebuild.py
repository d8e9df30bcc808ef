"""Making read models again from events while everything keeps running: range by range of order ids, in place."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.streams import Ids, read_streams
from core.projection.announcements import announce
from core.projection.parking import record_failures
from core.projection.projector import Failure, Projector, fold_rows, read_rows
from core.projection.rebuild_plan import claim_range
from core.projection.rows import delete_rows
from core.read_models.wiring import COUNTERS
from core.safe_errors import is_transient
from core.settings import Patience

Stream = Sequence[RecordedEvent | Failure]


def rebuild_next_range(
    sessions: sessionmaker[Session], rebuild_id: str, projectors: Mapping[str, Projector[Any]], patience: Patience
) -> bool:
    """Claim the next range and make its rows again; False when there is none to claim. Raises as `project` does."""
    with sessions.begin() as session:
        ids = claim_range(session, rebuild_id)
        if ids is not None:
            rebuild_orders(session, ids, projectors, patience)
    return ids is not None


def recount(sessions: sessionmaker[Session], names: Iterable[str]) -> None:
    """Mend the counters of these read models, which are as exact as their rows unless somebody has damaged them."""
    for name in names:
        if name in COUNTERS:
            with sessions.begin() as session:
                COUNTERS[name].recount(session)


def rebuild_orders(
    session: Session, ids: Ids, projectors: Mapping[str, Projector[Any]], patience: Patience
) -> dict[str, dict[str, Failure]]:
    """Make the rows of these orders from their whole streams, and remove rows that no event asks for.

    The streams are read after the rows are locked, so what is written is never older than what it overwrites; a row
    that did not exist to be locked is written only if nobody has brought it further meanwhile. An order that fails is
    shown up to that event and recorded as failing; its failures are returned by the projectors' names."""
    names = sorted(projectors)  # locked in the same order by rebuilds that run at once
    locked = {name: _lock(session, projectors[name], ids) for name in names}
    stream = list(read_rows(read_streams(session, ids)))
    failures = {}
    for name in names:
        failures[name] = _rebuild(session, projectors[name], ids, stream, locked[name])
        record_failures(session, name, failures[name].values(), patience)
    return failures


def _lock(session: Session, projector: Projector[Any], ids: Ids) -> set[str]:
    rows = projector.tables[0].c
    query = select(rows.order_id).where(ids.among(rows.order_id)).order_by(rows.order_id).with_for_update()
    return set(session.execute(query).scalars().all())


def _rebuild(
    session: Session, projector: Projector[Any], ids: Ids, stream: Stream, locked: AbstractSet[str]
) -> dict[str, Failure]:
    views, failures = fold_rows(projector, stream, {})
    refused = _replace(session, projector, list(views.values()), stream, locked)
    announce(session, list(views))
    unshown = {order_id for order_id, failure in refused.items() if failure.version == 1}
    head, *parts = projector.tables
    delete_rows(session, head, (locked - views.keys()) | unshown)
    for table in parts:
        has_head = exists().where(head.c.order_id == table.c.order_id)
        session.execute(delete(table).where(ids.among(table.c.order_id), ~has_head))
    return failures | refused


def _replace(
    session: Session, projector: Projector[Any], views: Sequence[Any], stream: Stream, locked: AbstractSet[str]
) -> dict[str, Failure]:
    """Write them; a row that the database refuses keeps nobody else's from being written."""
    failures: dict[str, Failure] = {}
    if _refusal(session, projector, views, locked) is None:
        return failures
    for view in views:
        if _refusal(session, projector, [view], locked) is not None:
            failures.update(_replace_step_by_step(session, projector, view, stream, locked))
    return failures


def _replace_step_by_step(
    session: Session, projector: Projector[Any], view: Any, stream: Stream, locked: AbstractSet[str]
) -> dict[str, Failure]:
    """Write the view event by event, up to the one whose values the database refuses."""
    shown = None
    for each in stream:
        if isinstance(each, RecordedEvent) and each.aggregate_id == view.order_id and each.version <= view.version:
            shown = projector.evolve(shown, each)
            refusal = _refusal(session, projector, [shown], locked)
            if refusal is not None:
                return {view.order_id: Failure(view.order_id, each.version, refusal)}
    return {}


def _refusal(
    session: Session, projector: Projector[Any], views: Sequence[Any], locked: AbstractSet[str]
) -> Exception | None:
    """Write them, or say why they cannot be written. Raises for faults that will pass."""
    try:
        with session.begin_nested():
            projector.replace(session, views, locked)
    except Exception as error:  # a projector may raise anything; what will pass is raised again
        if is_transient(error):
            raise
        return error
    return None
