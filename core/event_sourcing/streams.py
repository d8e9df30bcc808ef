"""Streams as the read side reads them: several at once, within the session's transaction, and checked for gaps."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Text, cast, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.ids import Ids
from core.event_sourcing.statements import COLUMNS
from core.event_sourcing.tables import events
from core.orders.events import OrderPlaced

READ = [events.c[name] for name in COLUMNS.split(", ")]


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


def read_streams(session: Session, ids: Ids) -> Iterator[tuple[Any, ...]]:
    """Whole streams, one after the other; for `recorded` to decode.

    The driver's own rows, and JSON read in one piece rather than value by value: half the time for many events."""
    columns = [cast(column, Text) if isinstance(column.type, JSONB) else column for column in READ]
    query = select(*columns).where(ids.among(events.c.aggregate_id))
    with session.connection().execute(query.order_by(events.c.aggregate_id, events.c.version)) as result:
        rows = result.cursor.fetchall()
    parts = list(zip(*rows, strict=True)) or [()] * len(READ)
    parsed = [
        _parse(part) if isinstance(column.type, JSONB) else part for column, part in zip(READ, parts, strict=True)
    ]
    return zip(*parsed, strict=True)


def _parse(texts: Iterable[str]) -> list[Any]:
    values: list[Any] = from_json(f"[{','.join(texts)}]")
    return values
