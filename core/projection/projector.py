"""What a projector is, and how one is run for orders: from their rows' versions to the ends of their streams."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from psycopg.pq import TransactionStatus
from sqlalchemy import Table
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection, pipelined
from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.postgres_store import COLUMNS, recorded
from core.projection.announcements import announce_if_heard
from core.projection.rows import FEW, read_later
from core.safe_errors import is_transient

MANY = 1000  # events
AGGREGATE_ID, VERSION = (COLUMNS.split(", ").index(name) for name in ("aggregate_id", "version"))


class View(Protocol):
    """What a projector keeps of one order."""

    @property
    def order_id(self) -> str: ...
    @property
    def version(self) -> int: ...


SomeView = TypeVar("SomeView", bound=View)


class Projector(Protocol[SomeView]):
    """`tables` all have an `order_id`; the first has one row per order, with the `version` it shows."""

    @property
    def tables(self) -> tuple[Table, ...]: ...

    def lock(self, session: Session, order_ids: Sequence[str]) -> Mapping[str, SomeView]:
        """What of the stored views `evolve` needs, by order id; their rows are locked until the transaction ends."""

    def read(self, session: Session, order_ids: Sequence[str]) -> Mapping[str, SomeView]:
        """The stored views, whole, by order id."""

    def evolve(self, view: SomeView | None, recorded: RecordedEvent) -> SomeView:
        """The view after one more event; None is before the first. Raises BrokenStream."""

    def save(self, session: Session, views: Sequence[SomeView]) -> None:
        """Write views evolved from what was locked, except those that somebody has brought further meanwhile."""

    def replace(self, session: Session, views: Sequence[SomeView], locked: Collection[str]) -> None:
        """Write views made from whole streams, the same; the orders in `locked` are overwritten whatever they show."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The event of an order that a projector cannot apply, and why."""

    order_id: str
    version: int
    error: Exception


@dataclass(slots=True)
class Projected:
    """The version that each order's view now shows; the orders stopped by an event that cannot be applied."""

    versions: dict[str, int] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)


def project(sessions: sessionmaker[Session], projector: Projector[Any], order_ids: Sequence[str]) -> Projected:
    """Bring these orders' views up to their streams. Safe to repeat, reorder and run at once.

    An order stops before the first event that cannot be applied. Raises for faults that will pass: a database that is
    away, a deadlock, a migration that is still to come."""
    try:
        with sessions.begin() as session:
            return _project(session, projector, order_ids)
    except Exception as error:  # what does not pass is some order's own fault, and found out below
        if is_transient(error):
            raise
    result = Projected()
    for order_id in order_ids:  # a row that cannot be written keeps nobody else's from being written
        alone = _project_alone(sessions, projector, order_id)
        result.versions.update(alone.versions)
        result.failures.update(alone.failures)
    return result


def _project_alone(sessions: sessionmaker[Session], projector: Projector[Any], order_id: str) -> Projected:
    """Many events at a time, and after a failure one, two, four …, so that it stops right before the one to blame."""
    most, before = MANY, -1
    while True:
        try:
            with sessions.begin() as session:
                projected = _project(session, projector, [order_id], most)
        except Exception as error:  # a projector may raise anything; what will pass is raised again
            if is_transient(error):
                raise
            if most == 1:
                return Projected({}, {order_id: Failure(order_id, _shown(sessions, projector, order_id) + 1, error)})
            most = 1
            continue
        reached = projected.versions.get(order_id, 0)
        if projected.failures or reached == before:
            return projected
        most, before = most * 2, reached


def _shown(sessions: sessionmaker[Session], projector: Projector[Any], order_id: str) -> int:
    with sessions.begin() as session:
        view = projector.lock(session, [order_id]).get(order_id)
    return view.version if view else 0


def _project(
    session: Session, projector: Projector[Any], order_ids: Sequence[str], most: int | None = None
) -> Projected:
    """`most` events of each order at the most. A few orders take two round trips, and the second commits."""
    connection = driver_connection(session)
    unspoken = connection.info.transaction_status is TransactionStatus.IDLE
    with pipelined(connection) if unspoken and len(order_ids) < FEW else nullcontext():
        later = read_later(session, projector.tables[0], order_ids, most)
        stored = projector.lock(session, order_ids)
        shown = {order_id: view.version for order_id, view in stored.items()}
        rows = [row for row in later if row[VERSION] > shown.get(row[AGGREGATE_ID], 0)]
        views, failures = fold_rows(projector, read_rows(rows), stored)
        changed = sorted(order_id for order_id, view in views.items() if view.version > shown.get(order_id, 0))
        if changed:
            projector.save(session, [views[order_id] for order_id in changed])
            announce_if_heard(session, changed)
    return Projected({order_id: view.version for order_id, view in views.items()}, failures)


def read_rows(rows: Iterable[Sequence[Any]]) -> Iterator[RecordedEvent | Failure]:
    """The events that rows of `events` hold; a Failure for one that this release cannot read."""
    for row in rows:
        try:
            yield recorded(row)
        except Exception as error:  # whatever it is, it concerns this order alone
            yield Failure(row[AGGREGATE_ID], row[VERSION], error)


def fold_rows(
    projector: Projector[SomeView], stream: Iterable[RecordedEvent | Failure], views: Mapping[str, SomeView]
) -> tuple[dict[str, SomeView], dict[str, Failure]]:
    """The views after these events; an order stops before the first that cannot be applied."""
    evolved, failures = dict(views), dict[str, Failure]()
    for each in stream:
        if isinstance(each, Failure):
            failures.setdefault(each.order_id, each)
        elif each.aggregate_id not in failures:
            try:
                evolved[each.aggregate_id] = projector.evolve(evolved.get(each.aggregate_id), each)
            except Exception as error:  # the same
                failures[each.aggregate_id] = Failure(each.aggregate_id, each.version, error)
    return evolved, failures


def fold(projector: Projector[SomeView], stream: Iterable[RecordedEvent]) -> dict[str, SomeView]:
    """Views made from whole streams, by order id; streams may follow one another or be mixed. Raises BrokenStream."""
    views: dict[str, SomeView] = {}
    for each in stream:
        views[each.aggregate_id] = projector.evolve(views.get(each.aggregate_id), each)
    return views
