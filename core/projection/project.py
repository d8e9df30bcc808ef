"""Projection: bringing the rows of orders up to their streams, for any read model."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.postgres_store import COLUMNS, recorded
from core.event_sourcing.streams import require_next
from core.projection import writer
from core.projection.announcements import announce_if_heard
from core.projection.read_model import ReadModel, SomeRow, Values
from core.safe_errors import is_transient
from core.transactions import transaction

EVENTS_AT_ONCE = 1000
AGGREGATE_ID, VERSION = (COLUMNS.split(", ").index(name) for name in ("aggregate_id", "version"))


@dataclass(frozen=True, slots=True)
class Failure:
    """The event of an order that a projector cannot apply, and why."""

    order_id: str
    version: int
    error: Exception


@dataclass(slots=True)
class Projected:
    """The version that each order's row now shows; the orders stopped by an event that cannot be applied."""

    versions: dict[str, int] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)

    def add(self, other: "Projected") -> None:
        self.versions.update(other.versions)
        self.failures.update(other.failures)


def project(sessions: sessionmaker[Session], model: ReadModel[Any], order_ids: Sequence[str]) -> Projected:
    """Bring these orders' rows up to their streams. Safe to repeat, reorder and run at once.

    An order stops before the first event that cannot be applied. Raises transient errors: a database that is away, a
    deadlock, a migration that is still to come."""

    def attempt(order_ids: Sequence[str], most: int | None = None) -> Projected:
        with transaction(sessions.kw["bind"], pipeline=len(order_ids) < writer.FEW) as connection:
            projected, overtaken = project_within(connection, model, order_ids, most)
        if again := sorted(overtaken()):
            projected.add(attempt(again, most))
        return projected

    try:
        return attempt(order_ids)
    except Exception as error:  # what is not transient is some order's own fault, and found out below
        if is_transient(error):
            raise
    result = Projected()
    for order_id in order_ids:  # a row that cannot be written keeps nobody else's from being written
        result.add(project_alone(attempt, order_id))
    return result


def project_alone(attempt: Callable[[Sequence[str], int], Projected], order_id: str) -> Projected:
    """Many events at a time, and after a failure one, two, four …, so that it stops right before the one to blame.

    `attempt` projects so many events of the orders, or leaves everything as it was. Raises transient errors."""
    most, reached = EVENTS_AT_ONCE, -1
    while True:
        try:
            projected = attempt([order_id], most)
        except Exception as error:  # a read model may raise anything
            if is_transient(error):
                raise
            if most == 1:
                shown = attempt([order_id], 0).versions.get(order_id, 0)
                return Projected({}, {order_id: Failure(order_id, shown + 1, error)})
            most = 1
            continue
        shown = projected.versions.get(order_id, 0)
        if projected.failures or shown == reached:
            return projected
        most, reached = most * 2, shown


def project_within(
    connection: Connection[Any], model: ReadModel[Any], order_ids: Sequence[str], most: int | None = None
) -> tuple[Projected, Callable[[], set[str]]]:
    """Within a transaction, which takes two round trips for a few orders; `most` events of each.

    The second tells, once the transaction is over, of which orders nothing was written: see `writer.save`."""
    news = writer.read_news(connection, model, order_ids, most)
    rows, failures = fold_until_failures(model, list(read_rows(news.events)), news.stored)
    versions = {order_id: stored[0][0][version_column(model)] for order_id, stored in news.stored.items()}
    versions |= {order_id: row.version for order_id, row in rows.items()}
    if not rows:
        return Projected(versions, failures), set
    changed = sorted(rows.values(), key=lambda row: row.order_id)
    overtaken = writer.save(connection, model, changed, news.stored)
    announce_if_heard(connection, [row.order_id for row in changed])
    return Projected(versions, failures), overtaken


def version_column(model: ReadModel[Any]) -> int:
    """Where its first table has the version."""
    return [column.name for column in model.tables[0].columns].index("version")


def read_rows(rows: Iterable[Values]) -> Iterator[RecordedEvent | Failure]:
    """The events that rows of `events` hold; a Failure for one that this release cannot read."""
    for row in rows:
        try:
            yield recorded(row)
        except Exception as error:  # whatever it is, it concerns this order alone
            yield Failure(row[AGGREGATE_ID], row[VERSION], error)


def fold(model: ReadModel[SomeRow], stream: Iterable[RecordedEvent]) -> dict[str, SomeRow]:
    """Rows made from whole streams, by order id; streams may follow one another or be mixed. Raises BrokenStream."""
    rows: dict[str, SomeRow] = {}
    for each in stream:
        rows[each.aggregate_id] = advance(model, rows.get(each.aggregate_id), each)
    return rows


def fold_until_failures(
    model: ReadModel[SomeRow], events: Sequence[RecordedEvent | Failure], stored: writer.Stored | None = None
) -> tuple[dict[str, SomeRow], dict[str, Failure]]:
    """The rows that these events change, made from what is stored; an order stops before the first that fails."""
    stored = stored or {}
    rows: dict[str, SomeRow] = {}
    failures: dict[str, Failure] = {}
    for each in events:
        if isinstance(each, Failure):
            failures.setdefault(each.order_id, each)
        elif each.aggregate_id not in failures:
            try:
                rows[each.aggregate_id] = _next(model, rows, stored, each)
            except Exception as error:  # the same
                failures[each.aggregate_id] = Failure(each.aggregate_id, each.version, error)
    if failures:  # `evolve` may have changed a row before it raised, so it is made again without that event
        for order_id in failures:
            rows.pop(order_id, None)
        for each in events:
            if isinstance(each, RecordedEvent) and _comes_before(each, failures):
                rows[each.aggregate_id] = _next(model, rows, stored, each)
    return rows, failures


def _comes_before(event: RecordedEvent, failures: Mapping[str, Failure]) -> bool:
    return event.aggregate_id in failures and event.version < failures[event.aggregate_id].version


def _next(
    model: ReadModel[SomeRow], rows: Mapping[str, SomeRow], stored: writer.Stored, event: RecordedEvent
) -> SomeRow:
    row = rows.get(event.aggregate_id)
    if row is None and event.aggregate_id in stored:
        row = model.from_tables(stored[event.aggregate_id])
    return advance(model, row, event)


def advance(model: ReadModel[SomeRow], row: SomeRow | None, event: RecordedEvent) -> SomeRow:
    """The row after one more event. Raises BrokenStream, and whatever the read model raises."""
    require_next(event, row.version if row is not None else 0)
    row = model.evolve(row, event)
    row.version = event.version
    return row
