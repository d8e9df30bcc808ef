"""An order's past: its audit trail, and the details as they were, folded by the details projector's own code."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

from sqlalchemy.orm import Session

from core.database import driver_connection
from core.event_sourcing.codec import encode
from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.postgres_store import PostgresEventStore
from core.orders.errors import OrderNotFound
from core.orders.events import sentence
from core.read_models.details import DetailsProjector, OrderDetails

PROJECTOR = DetailsProjector()


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


def audit_trail(session: Session, order_id: str) -> list[AuditEntry]:
    """Raises OrderNotFound."""
    entries, before = [], None
    for recorded in PostgresEventStore(driver_connection(session)).read_stream(order_id):
        after = PROJECTOR.evolve(before, recorded)
        entries.append(_entry(recorded, changes(before, after)))
        before = after
    if not entries:
        raise OrderNotFound(order_id)
    return entries


def details_at_version(session: Session, order_id: str, version: int) -> OrderDetails:
    """Raises OrderNotFound, NoSuchVersion."""
    stream = list(PostgresEventStore(driver_connection(session)).read_stream(order_id))
    if not stream:
        raise OrderNotFound(order_id)
    if not 1 <= version <= len(stream):
        raise NoSuchVersion(order_id, version, len(stream))
    return _fold(stream[:version])


def details_as_of(session: Session, order_id: str, moment: datetime) -> OrderDetails:
    """Raises OrderNotFound, NotPlacedYet."""
    stream = list(PostgresEventStore(driver_connection(session)).read_stream(order_id))
    if not stream:
        raise OrderNotFound(order_id)
    then = list(takewhile(lambda recorded: recorded.occurred_at <= moment, stream))
    if not then:
        raise NotPlacedYet(order_id, stream[0].occurred_at)
    return _fold(then)


def changes(before: OrderDetails | None, after: OrderDetails) -> tuple[Change, ...]:
    """Field by field; `version` is left out, since every event changes it."""
    same = min(len(before.items), len(after.items)) if before else 0  # items are added, and stay as they are
    old, new = (dict(_fields(details, same)) if details else {} for details in (before, after))
    return tuple(
        Change(field=field, before=old.get(field), after=new.get(field))
        for field in [*old, *(field for field in new if field not in old)]
        if field != "version" and old.get(field) != new.get(field)
    )


def _fold(stream: Sequence[RecordedEvent]) -> OrderDetails:
    """Of one event at least. Items are put aside as they come: a view that keeps them copies them at each event."""
    details = PROJECTOR.evolve(None, stream[0])
    items = [*details.items]
    for recorded in stream[1:]:
        details = PROJECTOR.evolve(details._replace(items=()), recorded)
        items += details.items
    return details._replace(items=tuple(items))


def _fields(details: OrderDetails, first_item: int) -> Iterator[tuple[str, object]]:
    yield from details.header._asdict().items()
    yield "items_total", details.items_total
    for number, item in enumerate(details.items[first_item:], start=first_item):
        yield f"items/{number}", item._asdict()


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
