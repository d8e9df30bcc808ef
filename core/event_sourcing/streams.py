"""Several streams at once, as the read side reads them, within the session's transaction."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Row, select, text
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


def read_later(session: Session, versions: Mapping[str, int]) -> Iterator[Row[Any]]:
    """The streams of several aggregates, one after the other, each after its version; for `recorded` to decode."""
    ids = {"aggregate_ids": list(versions.keys()), "versions": list(versions.values())}
    return iter(session.execute(READ_LATER, ids))


def read_streams(session: Session, ids: Ids) -> Iterator[Row[Any]]:
    """Whole streams, one after the other; for `recorded` to decode."""
    query = select(*(events.c[name] for name in COLUMNS.split(", "))).where(ids.among(events.c.aggregate_id))
    return iter(session.execute(query.order_by(events.c.aggregate_id, events.c.version)).all())
