"""How much of what is stored read models show."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core.projection.projector import Projector

# All is shown up to the first event that is not; events up to the checkpoint are, parked orders' aside. A subquery,
# unlike a join, is never planned as a scan of the whole read model, nor the least of a difference as one of the log.
SHOWN_POSITION = """
    SELECT coalesce(
        (SELECT min(event.position - 1) FROM events AS event
         WHERE (event.transaction_id, event.position) > (
                   coalesce((SELECT transaction_id FROM projector_checkpoints WHERE projector = :projector), '0'),
                   coalesce((SELECT position FROM projector_checkpoints WHERE projector = :projector), 0))
           AND event.version > coalesce((SELECT version FROM {table} WHERE order_id = event.aggregate_id), 0)),
        (SELECT max(position) FROM events),
        0)
"""

# Nothing joins the events at or below the checkpoint any more, so the later ones tell two servers apart.
STORED = text("""
    SELECT count(*) FROM events
    WHERE (transaction_id, position) > (CAST(:transaction_id AS xid8), :checkpoint) AND position <= :position
""")
CHECKPOINT = text("SELECT transaction_id::text, position FROM projector_checkpoints WHERE projector = :projector")


def shown_version(session: Session, projectors: Mapping[str, Projector[Any]], order_id: str) -> int:
    """The version that all these read models show of the order; 0 if one does not show it."""
    versions = []
    for projector in projectors.values():
        rows = projector.tables[0].c
        versions.append(session.execute(select(rows.version).where(rows.order_id == order_id)).scalar() or 0)
    return min(versions)


def shown_position(session: Session, name: str, projector: Projector[Any]) -> int:
    """The position up to which the read model shows every committed event."""
    query = text(SHOWN_POSITION.format(table=projector.tables[0].name))
    return int(session.execute(query, {"projector": name}).scalar_one())


def replays(replica: Session, primary: Session, name: str, position: int) -> bool:
    """Whether the replica has every event up to this position that is committed on the primary.

    Positions are not committed in their order, so a replica that has this event may lack an earlier one."""
    found = replica.execute(CHECKPOINT, {"projector": name}).one_or_none()
    transaction_id, checkpoint = found or ("0", 0)
    range_ = {"transaction_id": transaction_id, "checkpoint": checkpoint, "position": position}
    on_replica = replica.execute(STORED, range_).scalar_one()
    return bool(on_replica == primary.execute(STORED, range_).scalar_one())
