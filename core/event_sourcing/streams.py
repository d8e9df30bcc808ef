"""Streams as the read side reads them: many at once, within the session's transaction, and checked for gaps."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic_core import from_json
from sqlalchemy import ARRAY, Column, ColumnElement, Text, any_, cast, literal, select
from sqlalchemy.orm import Session

from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.tables import events
from core.orders.events import OrderPlaced


class BrokenStream(Exception):
    """A stream that does not begin with OrderPlaced, or has a gap or a repeat; nothing may be made from it."""

    def __init__(self, aggregate_id: str, shown: int, version: int) -> None:
        super().__init__(
            f"Event {version} of {aggregate_id} cannot follow event {shown}; OrderPlaced comes first and only first."
        )


def require_next(recorded: RecordedEvent, version: int) -> None:
    """Raises BrokenStream unless this is the event after `version`, and OrderPlaced if that is 0, and only then."""
    if recorded.version != version + 1 or isinstance(recorded.event, OrderPlaced) != (version == 0):
        raise BrokenStream(recorded.aggregate_id, version, recorded.version)


class Ids(Protocol):
    """Which aggregates a statement is about."""

    def among(self, column: Column[str]) -> ColumnElement[bool]:
        """The condition that the column holds one of them."""


@dataclass(frozen=True, slots=True)
class IdRange:
    """From `from_id` to before `until_id`, or to the last if that is None; in the order of the database."""

    from_id: str = ""
    until_id: str | None = None

    def among(self, column: Column[str]) -> ColumnElement[bool]:
        begun = column >= self.from_id
        return begun if self.until_id is None else begun & (column < self.until_id)


@dataclass(frozen=True, slots=True)
class IdList:
    """The ids given; one parameter for all of them, so that the statement stays the same."""

    ids: Collection[str]

    def among(self, column: Column[str]) -> ColumnElement[bool]:
        return column == any_(literal(list(self.ids), ARRAY(Text)))


def read_streams(session: Session, ids: Ids) -> Iterator[tuple[Any, ...]]:
    """Whole streams, one after the other; rows for `recorded` to decode.

    The driver's own rows, and JSON read in one piece rather than value by value: half the time for many events."""
    row = events.c
    query = select(
        row.position,
        row.aggregate_id,
        row.version,
        row.event_type,
        cast(row.event_data, Text),
        cast(row.metadata, Text),
        row.occurred_at,
    ).where(ids.among(row.aggregate_id))
    with session.connection().execute(query.order_by(row.aggregate_id, row.version)) as result:
        rows = result.cursor.fetchall()
    if not rows:
        return iter(())
    *head, event_data, metadata, occurred_at = zip(*rows, strict=True)
    return zip(*head, parsed(event_data), parsed(metadata), occurred_at, strict=True)


def parsed(texts: Iterable[str]) -> list[Any]:
    """The values of JSON texts."""
    values: list[Any] = from_json(f"[{','.join(texts)}]")
    return values
