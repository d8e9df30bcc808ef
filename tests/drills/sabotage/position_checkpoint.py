"""Catch-up without its horizon: the checkpoint goes by position, over transactions that are still open."""

from sqlalchemy import text

from core.projection import catch_up
from worker.app import app

__all__ = ["app"]

catch_up.READ_SETTLED = text("""
    SELECT epoch, transaction_id::text, position, aggregate_id, version FROM events
    WHERE position > :position
    ORDER BY position
    LIMIT :batch
""")

catch_up.MOVE_CHECKPOINT = text("""
    UPDATE projector_checkpoints
    SET epoch = :epoch, transaction_id = CAST(:transaction_id AS xid8), position = :position,
        moved_at = now(), checked_at = now()
    WHERE projector = :projector AND position < :position
""")
