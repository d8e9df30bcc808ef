"""Making read models again from events while everything keeps running: range by range of order ids, in place."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from psycopg import Connection
from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.streams import Ids, read_streams
from core.projection import writer
from core.projection.announcements import announce
from core.projection.parking import record_failures
from core.projection.project import Failure, Projected, fold_until_failures, project_alone, project_within, read_rows
from core.projection.read_model import ReadModel
from core.projection.rebuild_plan import claim_range
from core.safe_errors import is_transient
from core.settings import Patience

Stream = Sequence[RecordedEvent | Failure]


def rebuild_next_range(
    sessions: sessionmaker[Session], rebuild_id: str, models: Mapping[str, ReadModel[Any]], patience: Patience
) -> bool:
    """Claim the next range and make its rows again; False when there is none to claim. Raises as `project` does."""
    with sessions.begin() as session:
        ids = claim_range(session, rebuild_id)
        if ids is not None:
            rebuild_orders(session, ids, models, patience)
    return ids is not None


def rebuild_orders(
    session: Session, ids: Ids, models: Mapping[str, ReadModel[Any]], patience: Patience
) -> dict[str, dict[str, Failure]]:
    """Make the rows of these orders from their whole streams, and remove rows that no event asks for.

    The streams are read after the rows are locked, so what is written is never older than what it overwrites; a row
    that was not there to be locked is left as it is if somebody has made it meanwhile. An order that fails is shown
    up to that event and recorded as failing; its failures are returned by the projectors' names."""
    names = sorted(models)  # locked in the same order by rebuilds that run at once
    locked = {name: _lock(session, models[name], ids) for name in names}
    stream = list(read_rows(read_streams(session, ids)))
    failures = {}
    for name in names:
        failures[name] = _rebuild(driver_connection(session), models[name], stream, locked[name])
        _remove_stray_parts(session, models[name], ids)
        record_failures(session, name, failures[name].values(), patience)
    return failures


def _lock(session: Session, model: ReadModel[Any], ids: Ids) -> set[str]:
    rows = model.tables[0].c
    query = select(rows.order_id).where(ids.among(rows.order_id)).order_by(rows.order_id).with_for_update()
    return set(session.execute(query).scalars().all())


def _rebuild(
    connection: Connection[Any], model: ReadModel[Any], stream: Stream, locked: AbstractSet[str]
) -> dict[str, Failure]:
    """A row that the database refuses keeps nobody else's from being written."""
    rows, failures = fold_until_failures(model, stream)
    writer.remove(connection, model, locked - rows.keys())
    if _is_refused(connection, lambda: writer.replace(connection, model, list(rows.values()), locked)):
        for order_id, row in rows.items():
            held = locked & {order_id}
            # The loop's variables do not change under the function, which is called at once.
            if _is_refused(connection, lambda: writer.replace(connection, model, [row], held)):  # noqa: B023
                failures |= _project_anew(connection, model, order_id, held)
    announce(connection, list(rows))
    return failures


def _is_refused(connection: Connection[Any], write: Callable[[], object]) -> bool:
    """Writes, or leaves everything as it was. Raises transient errors."""
    try:
        with connection.transaction():
            write()
    except Exception as error:  # a read model may raise anything
        if is_transient(error):
            raise
        return True
    return False


def _project_anew(
    connection: Connection[Any], model: ReadModel[Any], order_id: str, held: AbstractSet[str]
) -> dict[str, Failure]:
    """From nothing up to the event whose values the database refuses."""
    writer.remove(connection, model, held)

    def attempt(order_ids: Sequence[str], most: int) -> Projected:
        with connection.transaction():
            return project_within(connection, model, order_ids, most)[0]

    return project_alone(attempt, order_id).failures


def _remove_stray_parts(session: Session, model: ReadModel[Any], ids: Ids) -> None:
    """Parts without their order's row, which only damage explains."""
    head, *parts = model.tables
    for table in parts:
        has_head = exists().where(head.c.order_id == table.c.order_id)
        session.execute(delete(table).where(ids.among(table.c.order_id), ~has_head))
