"""Whether read models show what a client has written."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core.read_models.projector import Projector

UNAPPLIED = """
    SELECT EXISTS (
        SELECT FROM events AS event
        LEFT JOIN {table} AS view ON view.order_id = event.aggregate_id
        WHERE (event.transaction_id, event.position) > (
                  coalesce((SELECT transaction_id FROM projector_checkpoints WHERE projector = :projector), '0'::xid8),
                  coalesce((SELECT position FROM projector_checkpoints WHERE projector = :projector), 0))
          AND event.position <= :position
          AND coalesce(view.version, 0) < event.version
    )
"""


def shown_version(session: Session, projectors: Mapping[str, Projector[Any]], order_id: str) -> int:
    """The version that all these read models show of the order; 0 if one does not show it."""
    versions = []
    for projector in projectors.values():
        rows = projector.tables[0].c
        versions.append(session.execute(select(rows.version).where(rows.order_id == order_id)).scalar() or 0)
    return min(versions)


def shows_position(session: Session, name: str, projector: Projector[Any], position: int) -> bool:
    """Whether the read model shows every committed event up to this position, parked orders' aside."""
    query = text(UNAPPLIED.format(table=projector.tables[0].name))
    return not session.execute(query, {"projector": name, "position": position}).scalar_one()
