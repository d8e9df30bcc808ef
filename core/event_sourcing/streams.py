"""Several streams at once, as the read side reads them, within the session's transaction."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from core.event_sourcing.ids import Ids
from core.event_sourcing.statements import COLUMNS
from core.event_sourcing.tables import events


def read_streams(session: Session, ids: Ids) -> Iterator[Row[Any]]:
    """Whole streams, one after the other; for `recorded` to decode."""
    query = select(*(events.c[name] for name in COLUMNS.split(", "))).where(ids.among(events.c.aggregate_id))
    return iter(session.execute(query.order_by(events.c.aggregate_id, events.c.version)).all())
