"""Several streams at once, as the read side reads them, within the session's transaction."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Row, Text, cast, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from core.event_sourcing.ids import Ids
from core.event_sourcing.statements import COLUMNS
from core.event_sourcing.tables import events

READ_LATER = text(f"""
    SELECT {COLUMNS}
    FROM unnest(CAST(:aggregate_ids AS text[]), CAST(:versions AS integer[])) AS read (aggregate_id, after)
    JOIN events USING (aggregate_id)
    WHERE version > after
    ORDER BY aggregate_id, version
""")

READ = [events.c[name] for name in COLUMNS.split(", ")]


def read_later(session: Session, versions: Mapping[str, int]) -> Iterator[Row[Any]]:
    """The streams of several aggregates, one after the other, each after its version; for `recorded` to decode."""
    ids = {"aggregate_ids": list(versions.keys()), "versions": list(versions.values())}
    return iter(session.execute(READ_LATER, ids))


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
