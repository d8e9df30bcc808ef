"""How far each projector is, and how much of what is stored its rows show."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from core.projection.read_model import ReadModel

OVERDUE = 15.0  # seconds; catch-up should come by every two, and its visits are replayed on a replica too

# Events at or below the checkpoint are applied or recorded as failing, so only what is new is counted. A subquery,
# unlike a join, is never planned as a scan of the whole read model.
LAG = """
    SELECT count(*) AS events_behind,
           coalesce(extract(epoch FROM now() - min(event.occurred_at)), 0)::float AS seconds_behind
    FROM events AS event
    WHERE (event.epoch, event.transaction_id, event.position) > (:epoch, CAST(:transaction_id AS xid8), :position)
      AND event.version > coalesce((SELECT version FROM {table} WHERE order_id = event.aggregate_id), 0)
"""

CHECKPOINT = text("""
    SELECT epoch, transaction_id::text, position,
           extract(epoch FROM now() - checked_at)::float AS seconds_since_catch_up
    FROM projector_checkpoints WHERE projector = :projector
""")

CHECKED = text("""
    SELECT projector, extract(epoch FROM now() - checked_at)::float FROM projector_checkpoints
    WHERE projector = ANY(:projectors)
""")

# All is shown up to the first event that is not; events up to the checkpoint are, parked orders' aside. A subquery,
# unlike a join, is never planned as a scan of the whole read model, nor the least of a difference as one of the log.
SHOWN_POSITION = """
    SELECT coalesce(
        (SELECT min(event.position - 1) FROM events AS event
         WHERE (event.epoch, event.transaction_id, event.position) > (
                   coalesce((SELECT epoch FROM projector_checkpoints WHERE projector = :projector), 0),
                   coalesce((SELECT transaction_id FROM projector_checkpoints WHERE projector = :projector), '0'),
                   coalesce((SELECT position FROM projector_checkpoints WHERE projector = :projector), 0))
           AND event.version > coalesce((SELECT version FROM {table} WHERE order_id = event.aggregate_id), 0)),
        (SELECT max(position) FROM events),
        0)
"""

# Nothing joins the events at or below the checkpoint any more, so the later ones tell two servers apart.
STORED = text("""
    SELECT count(*) FROM events
    WHERE (epoch, transaction_id, position) > (:epoch, CAST(:transaction_id AS xid8), :position)
      AND position <= :until
""")
LAST_CHECKED = text("SELECT min(checked_at) FROM projector_checkpoints WHERE projector = ANY(:projectors)")

# By the database's clock: those that gave events their times may differ from it.
HELD_BACK = text("""
    SELECT max(extract(epoch FROM now() - moved_at))::float FROM projector_checkpoints AS reached
    WHERE projector = ANY(:projectors) AND EXISTS (
        SELECT FROM events
        WHERE (epoch, transaction_id, position) > (reached.epoch, reached.transaction_id, reached.position)
    )
""")

# Readers do not hold it back: only a transaction that has written has an id.
HOLDERS = text("""
    SELECT holder FROM (
        SELECT age(backend_xid) AS age,
               format('process %s of %s; end it with SELECT pg_terminate_backend(%s)', pid, usename, pid) AS holder
        FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
        UNION ALL
        SELECT age(transaction),
               format('the prepared transaction %s of %s; end it with ROLLBACK PREPARED %L', gid, owner, gid)
        FROM pg_prepared_xacts
    ) AS open ORDER BY age DESC LIMIT 1
""")

FAILING = text("""
    SELECT count(*) FILTER (WHERE next_attempt_at IS NULL), count(*) FILTER (WHERE next_attempt_at IS NOT NULL)
    FROM projection_failures WHERE projector = :projector
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectorStatus:
    """`checkpoint` is a position; `seconds_behind` the age of the oldest event that is not projected, 0 if none.
    Orders that failed do not count there: they are the parked and the retrying ones.

    `seconds_since_catch_up` is None before the first one."""

    checkpoint: int
    events_behind: int
    seconds_behind: float
    parked_orders: int
    retrying_orders: int
    seconds_since_catch_up: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionStatus:
    """`epoch` counts the clusters that held the log; `held_back_by` is who keeps catch-up from going on, if it has not
    gone on for too long."""

    last_position: int
    epoch: int
    held_back_by: Sequence[str]
    projectors: Mapping[str, ProjectorStatus]


def status(session: Session, models: Mapping[str, ReadModel[Any]]) -> ProjectionStatus:
    return ProjectionStatus(
        last_position=last_position(session),
        epoch=session.execute(text("SELECT log_epoch()")).scalar_one(),
        held_back_by=holders(session) if seconds_held_back(session, models) > OVERDUE else [],
        projectors={name: _projector_status(session, name, model) for name, model in models.items()},
    )


def last_position(session: Session) -> int:
    """That of the newest committed event; 0 if there is none."""
    return int(session.execute(text("SELECT coalesce(max(position), 0) FROM events")).scalar_one())


def seconds_held_back(session: Session, names: Collection[str]) -> float:
    """For how long there have been events that catch-up cannot pass, of the projector that waits longest; 0 if none.

    Hints may have projected them; a lost hint is not noticed before catch-up has passed its event."""
    return float(session.execute(HELD_BACK, {"projectors": list(names)}).scalar() or 0.0)


def holders(session: Session) -> list[str]:
    """Who keeps events from being settled: the oldest transaction that has written and is still open."""
    return list(session.execute(HOLDERS).scalars())


def seconds_since_catch_up(session: Session, names: Collection[str]) -> float | None:
    """Since catch-up visited the projector that has waited longest; None if it has never visited one of them."""
    rows = session.execute(CHECKED, {"projectors": list(names)})
    found = {name: float(seconds) for name, seconds in rows}
    return max(found.values()) if found.keys() == set(names) else None


def last_catch_up(session: Session, names: Collection[str]) -> datetime | None:
    """When catch-up visited the projector that has waited longest; None if it has visited none of them.

    Primary and replica store the same times, so their difference is how far the replica is behind."""
    found: datetime | None = session.execute(LAST_CHECKED, {"projectors": list(names)}).scalar()
    return found


def _projector_status(session: Session, name: str, model: ReadModel[Any]) -> ProjectorStatus:
    found = session.execute(CHECKPOINT, {"projector": name}).one_or_none()
    lag = session.execute(text(LAG.format(table=model.tables[0].name)), _reached(found)).one()
    parked, retrying = session.execute(FAILING, {"projector": name}).one()
    return ProjectorStatus(
        checkpoint=found.position if found else 0,
        events_behind=lag.events_behind,
        seconds_behind=max(0.0, lag.seconds_behind),
        parked_orders=parked,
        retrying_orders=retrying,
        seconds_since_catch_up=found.seconds_since_catch_up if found else None,
    )


def shown_version(session: Session, models: Mapping[str, ReadModel[Any]], order_id: str) -> int:
    """The version that all these read models show of the order; 0 if one does not show it."""
    versions = []
    for model in models.values():
        rows = model.tables[0].c
        versions.append(session.execute(select(rows.version).where(rows.order_id == order_id)).scalar() or 0)
    return min(versions)


def shown_position(session: Session, name: str, model: ReadModel[Any]) -> int:
    """The position up to which the read model shows every committed event."""
    query = text(SHOWN_POSITION.format(table=model.tables[0].name))
    return int(session.execute(query, {"projector": name}).scalar_one())


def replays(replica: Session, primary: Session, name: str, position: int) -> bool:
    """Whether the replica has every event up to this position that is committed on the primary.

    Positions are not committed in their order, so a replica that has this event may lack an earlier one."""
    found = replica.execute(CHECKPOINT, {"projector": name}).one_or_none()
    after = {**_reached(found), "until": position}
    on_replica = replica.execute(STORED, after).scalar_one()
    return bool(on_replica == primary.execute(STORED, after).scalar_one())


def _reached(found: Row[Any] | None) -> dict[str, Any]:
    """Where a checkpoint is, for the statements above."""
    if found is None:
        return {"epoch": 0, "transaction_id": "0", "position": 0}
    return {"epoch": found.epoch, "transaction_id": found.transaction_id, "position": found.position}
