"""An order's past: its audit trail, and the details as they were, folded by the read model's own code."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.database import driver_connection
from core.event_sourcing.codec import encode
from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.postgres_store import LAST_VERSION, PostgresEventStore
from core.event_sourcing.tables import events
from core.orders.errors import OrderNotFound
from core.orders.events import sentence
from core.projection.project import advance, fold
from core.read_models.details import DetailsReadModel, OrderDetails, OrderItem
from core.read_models.header import header_fields

DETAILS = DetailsReadModel()


class NoSuchVersion(Exception):
    """A version that the order does not have; `latest` is the one it is at."""

    def __init__(self, order_id: str, version: int, latest: int) -> None:
        super().__init__(f"Order {order_id} has the versions 1 to {latest}, and no version {version}.")
        self.latest = latest


class NotPlacedYet(Exception):
    """A time before the order was placed."""

    def __init__(self, order_id: str, placed_at: datetime) -> None:
        super().__init__(f"Order {order_id} was placed at {placed_at.isoformat()}; before that there was none.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A field of the details before and after an event; None is for what was or is not there."""

    field: str
    before: object
    after: object


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One event for a person to read: who did what, when, and what it changed."""

    version: int
    position: int
    event_type: str
    occurred_at: datetime
    actor: str | None
    correlation_id: str | None
    causation_id: str | None
    sentence: str
    changes: tuple[Change, ...]


class Told(NamedTuple):
    """One event and what it changed."""

    recorded: RecordedEvent
    changes: tuple[Change, ...]


def audit_trail(session: Session, order_id: str, *, after: int, limit: int) -> tuple[list[AuditEntry], int | None]:
    """A page of the events after this version, and the version where it ends if more follow. Raises OrderNotFound."""
    last = after + limit
    stream = _stream(session, order_id, until=last + 1)
    entries = [_entry(*told) for told in _told(stream[:last], after)]
    return entries, last if len(stream) > last else None


def story(session: Session, order_id: str) -> list[Told]:
    """All of the order's events, oldest first. Raises OrderNotFound."""
    return list(_told(_stream(session, order_id, until=LAST_VERSION), after=0))


def details_after(story: Sequence[Told]) -> OrderDetails:
    """The order after these events of its story."""
    [details] = fold(DETAILS, [told.recorded for told in story]).values()
    return details


def _told(stream: Sequence[RecordedEvent], after: int) -> Iterator[Told]:
    """The events after this version, with what they changed; the stream begins with the first."""
    row, before = None, Shown({}, [])
    for recorded in stream:
        row = advance(DETAILS, row, recorded)
        if recorded.version >= after:
            now = Shown.of(row)
            if recorded.version > after:
                yield Told(recorded, _changes(before, now))
            before = now


def difference(session: Session, order_id: str, one: int, other: int) -> tuple[Change, ...]:
    """Field by field, from one version to the other. Raises OrderNotFound, NoSuchVersion."""
    row, shown = None, {}
    for recorded in _up_to(session, order_id, max(one, other)):
        row = advance(DETAILS, row, recorded)
        if recorded.version in (one, other):
            shown[recorded.version] = Shown.of(row)
    return _changes(shown[one], shown[other])


def details_at_version(session: Session, order_id: str, version: int) -> OrderDetails:
    """Raises OrderNotFound, NoSuchVersion."""
    return fold(DETAILS, _up_to(session, order_id, version))[order_id]


def details_as_of(session: Session, order_id: str, moment: datetime) -> OrderDetails:
    """Raises OrderNotFound, NotPlacedYet."""
    version = (
        select(events.c.version)
        .where(events.c.aggregate_id == order_id, events.c.occurred_at <= moment)
        .order_by(events.c.version.desc())
        .limit(1)
    )
    then = session.execute(version).scalar() or 0
    stream = _stream(session, order_id, until=max(then, 1))
    if not then:
        raise NotPlacedYet(order_id, stream[0].occurred_at)
    return fold(DETAILS, stream)[order_id]


def _up_to(session: Session, order_id: str, version: int) -> list[RecordedEvent]:
    """Raises OrderNotFound, NoSuchVersion."""
    stream = _stream(session, order_id, until=version)
    if len(stream) < version:
        raise NoSuchVersion(order_id, version, len(stream))
    return stream


def _stream(session: Session, order_id: str, *, until: int) -> list[RecordedEvent]:
    """The events up to this version. Raises OrderNotFound."""
    stream = list(PostgresEventStore(driver_connection(session)).read_stream(order_id, until=until))
    if not stream:
        raise OrderNotFound(order_id)
    return stream


class Shown(NamedTuple):
    """The details at one moment: a row is changed in place by the events that follow."""

    fields: Mapping[str, object]
    items: list[OrderItem]  # oldest first

    @classmethod
    def of(cls, row: OrderDetails) -> "Shown":
        return cls({**header_fields(row), "items_total": row.items_total}, list(row.items.values()))


def _changes(before: Shown, after: Shown) -> tuple[Change, ...]:
    """`items/0` is the first of all items that are there before or after; `version` is left out, since every event
    changes it."""
    found = [
        Change(field=name, before=before.fields.get(name), after=value)
        for name, value in after.fields.items()
        if name != "version" and before.fields.get(name) != value
    ]
    same = len(before.items) if after.items[: len(before.items)] == before.items else 0  # most events only add items
    old, new = ({item.version: item for item in items[same:]} for items in (before.items, after.items))
    for number, version in enumerate(sorted(old.keys() | new.keys()), start=same):
        then, now = old.get(version), new.get(version)
        if then != now:
            found.append(Change(field=f"items/{number}", before=then and then._asdict(), after=now and now._asdict()))
    return tuple(found)


def _entry(recorded: RecordedEvent, changed: tuple[Change, ...]) -> AuditEntry:
    told: Mapping[str, Any] = recorded.metadata
    return AuditEntry(
        version=recorded.version,
        position=recorded.position,
        event_type=encode(recorded.event).event_type,
        occurred_at=recorded.occurred_at,
        actor=told.get("actor"),
        correlation_id=told.get("correlation_id"),
        causation_id=told.get("causation_id"),
        sentence=sentence(recorded.event),
        changes=changed,
    )
