"""What operators have done by the console: who, what, when, and what came of it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, Integer, Row, Table, Text, Uuid, func, insert, select, text
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from core.database import metadata


class Action(StrEnum):
    RETRY = "retry"
    RETRY_ALL = "retry-all"
    VERIFY = "verify"
    DRY_RUN = "dry-run"
    REBUILD = "rebuild"
    CREATE_WEBHOOK = "create-webhook"
    ENABLE_WEBHOOK = "enable-webhook"
    DISABLE_WEBHOOK = "disable-webhook"
    ROTATE_SECRET = "rotate-secret"  # noqa: S105 - the name of an action
    REDELIVER = "redeliver"
    RETRY_WEBHOOK = "retry-webhook"


class Outcome(StrEnum):
    DONE = "done"
    PARTLY = "partly"  # a rebuild after which orders are shown only in part
    DIFFERS = "differs"
    FAILED = "failed"
    CANCELLED = "cancelled"


# Ids are UUIDv7, so they tell the order. A rebuild has no outcome until it ends; `looked_at` is when a worker was last
# at it, and the unique index lets one rebuild of a read model wait or run.
operator_actions = Table(
    "operator_actions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("looked_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("outcome", Text),
    Column("done", Integer),
    Column("total", Integer),
    Column("error", Text),
    Index("operator_actions_unfinished_idx", "subject", unique=True, postgresql_where=text("ended_at IS NULL")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAction:
    """`subject` is a read model, an order, a webhook or an event. `done` of `total` orders, rows or ranges; without an
    outcome it is still going on."""

    id: UUID
    actor: str
    action: Action
    subject: str
    asked_at: datetime
    ended_at: datetime | None
    outcome: Outcome | None
    done: int | None
    total: int | None
    error: str | None


def record(
    session: Session,
    actor: str,
    action: Action,
    subject: str,
    outcome: Outcome = Outcome.DONE,
    *,
    done: int | None = None,
    total: int | None = None,
    error: str | None = None,
) -> UUID:
    """An action that has ended; returns its id."""
    action_id: UUID = uuid7()
    came_of_it = {"outcome": outcome, "done": done, "total": total, "error": error, "ended_at": func.now()}
    row = {"id": action_id, "actor": actor, "action": action, "subject": subject, **came_of_it}
    session.execute(insert(operator_actions).values(row))
    return action_id


def newest(session: Session, actions: Collection[Action], limit: int) -> list[OperatorAction]:
    """The last ones of these kinds, newest first."""
    known = operator_actions.c
    query = select(operator_actions).where(known.action.in_(actions)).order_by(known.id.desc()).limit(limit)
    return [_action(row) for row in session.execute(query)]


def last_rebuilds(session: Session) -> dict[str, datetime]:
    """When the last rebuild that went to its end did so, by read model."""
    known = operator_actions.c
    complete = known.outcome.in_([Outcome.DONE, Outcome.PARTLY])
    query = select(known.subject, func.max(known.ended_at)).where(known.action == Action.REBUILD, complete)
    return dict(session.execute(query.group_by(known.subject)).all())


def _action(row: Row[tuple[object, ...]]) -> OperatorAction:
    return OperatorAction(
        id=row.id,
        actor=row.actor,
        action=Action(row.action),
        subject=row.subject,
        asked_at=row.asked_at,
        ended_at=row.ended_at,
        outcome=Outcome(row.outcome) if row.outcome else None,
        done=row.done,
        total=row.total,
        error=row.error,
    )
