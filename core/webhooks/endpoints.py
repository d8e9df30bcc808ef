"""Endpoints: who wants to be told of which events, and what was tried."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select, text, update
from sqlalchemy.orm import Session
from uuid_utils import uuid7

from core.database import driver_connection
from core.event_sourcing.feed import Cursor, read_feed
from core.webhooks.tables import webhook_deliveries, webhook_orders, webhooks

MOST_ENDPOINTS = 100
BOTH_SECRETS = "24 hours"

# Without a cursor, an endpoint begins after all that is settled.
END = text("""
    SELECT log_epoch() AS epoch, pg_snapshot_xmin(pg_current_snapshot())::text AS transaction_id, 0 AS position
""")

ROTATE = text(f"""
    UPDATE webhooks
    SET previous_secret = secret, previous_until = now() + interval '{BOTH_SECRETS}', secret = :secret,
        updated_at = now()
    WHERE id = :id RETURNING id
""")

IS_THERE = text("SELECT FROM events WHERE aggregate_id = :order_id AND version = :version")

# What waits from there on comes again with it, so that its order holds. What `dispatch` has not passed comes anyway.
REDELIVER = text("""
    INSERT INTO webhook_orders AS known (webhook_id, order_id, next_version, last_version)
    SELECT :id, aggregate_id, version, version FROM events
    WHERE aggregate_id = :order_id AND version = :version
      AND (epoch, transaction_id, position)
       <= (SELECT epoch, transaction_id, position FROM webhooks WHERE id = :id)
    ON CONFLICT (webhook_id, order_id) DO UPDATE
    SET next_version = least(known.next_version, excluded.next_version),
        last_version = greatest(known.last_version, excluded.last_version),
        next_attempt_at = now(), attempts = 0, failing_since = NULL
""")

# A later place would skip what is between.
REWIND = text("""
    UPDATE webhooks SET epoch = :epoch, transaction_id = CAST(:transaction_id AS xid8), position = :position
    WHERE id = :id
      AND (epoch, transaction_id, position) > (:epoch, CAST(:transaction_id AS xid8), :position)
""")

RETRY = text("""
    UPDATE webhook_orders SET next_attempt_at = now(), attempts = 0, failing_since = NULL
    WHERE webhook_id = :id AND (failing_since IS NOT NULL OR next_attempt_at IS NULL)
    RETURNING order_id
""")

WAITING = text("""
    SELECT count(*) AS waiting, count(*) FILTER (WHERE next_attempt_at IS NULL) AS parked,
           count(*) FILTER (WHERE failing_since IS NOT NULL AND next_attempt_at IS NOT NULL) AS failing
    FROM webhook_orders WHERE webhook_id = :id
""")


class WebhookNotFound(Exception):
    """No endpoint has this id, or had it."""

    def __init__(self) -> None:
        super().__init__("There is no such webhook.")


class NoSuchEvent(Exception):
    """No event has this id."""

    def __init__(self) -> None:
        super().__init__("There is no such event.")


class TooManyWebhooks(Exception):
    """There are as many endpoints as there may be."""

    def __init__(self) -> None:
        super().__init__(f"There are {MOST_ENDPOINTS} webhooks already, which is the most.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An endpoint, without its secrets. No type means every type."""

    id: str
    url: str
    description: str
    types: Sequence[str]
    enabled: bool
    disabled_because: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One attempt; without a status no answer came, and `error` says why."""

    id: UUID
    order_id: str
    version: int
    event_type: str
    attempted_at: datetime
    duration_ms: int
    status: int | None
    error: str | None
    answer: str


SHOWN = [webhooks.c[name] for name in Webhook.__dataclass_fields__]
TRIED = [webhook_deliveries.c[name] for name in Delivery.__dataclass_fields__]


def new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def create(
    session: Session, url: str, description: str, types: Sequence[str], *, enabled: bool, after: Cursor | None = None
) -> tuple[Webhook, str]:
    """The endpoint and its secret, which is shown only now. Raises TooManyWebhooks, CursorOfAnotherLog."""
    if len(list_webhooks(session)) >= MOST_ENDPOINTS:
        raise TooManyWebhooks
    place = _place(session, after) if after else session.execute(END).one()._asdict()
    given = {"url": url, "description": description, "types": types, "enabled": enabled}
    secret = new_secret()
    row = {"id": str(uuid7()), "secret": secret, **given, **place}
    return _webhook(session.execute(insert(webhooks).values(row).returning(*SHOWN)).one()), secret


def list_webhooks(session: Session) -> list[Webhook]:
    """All of them, oldest first."""
    return [_webhook(row) for row in session.execute(select(*SHOWN).order_by(webhooks.c.id))]


def find(session: Session, webhook_id: str) -> Webhook:
    """Raises WebhookNotFound."""
    return _one(session.execute(select(*SHOWN).where(webhooks.c.id == webhook_id)).one_or_none())


def change(session: Session, webhook_id: str, changes: Mapping[str, Any]) -> Webhook:
    """Of url, description, types and enabled. One that is enabled tries at once what has failed before.

    Raises WebhookNotFound."""
    values = {**changes, "updated_at": text("now()")}
    if "enabled" in changes:
        values |= {"disabled_because": None, "looked_at": text("now()")}
    statement = update(webhooks).where(webhooks.c.id == webhook_id).values(values).returning(*SHOWN)
    webhook = _one(session.execute(statement).one_or_none())
    if changes.get("enabled"):
        retry(session, webhook_id)
    return webhook


def remove(session: Session, webhook_id: str) -> None:
    """With all that it has still to get. Raises WebhookNotFound."""
    _one(session.execute(delete(webhooks).where(webhooks.c.id == webhook_id).returning(*SHOWN)).one_or_none())


def rotate(session: Session, webhook_id: str) -> str:
    """Another secret, which is shown only now; for a day the one before it signs too. Raises WebhookNotFound."""
    secret = new_secret()
    if session.execute(ROTATE, {"id": webhook_id, "secret": secret}).one_or_none() is None:
        raise WebhookNotFound
    return secret


def redeliver(session: Session, webhook_id: str, order_id: str, version: int) -> None:
    """Send this event again, and what of its order is still waiting. Raises WebhookNotFound, NoSuchEvent."""
    _lock(session, webhook_id)
    event = {"id": webhook_id, "order_id": order_id, "version": version}
    if session.execute(IS_THERE, event).one_or_none() is None:
        raise NoSuchEvent
    session.execute(REDELIVER, event)


def redeliver_after(session: Session, webhook_id: str, after: Cursor) -> None:
    """Send all that comes after the cursor again. Raises WebhookNotFound, CursorOfAnotherLog."""
    retry(session, webhook_id)
    session.execute(REWIND, {"id": webhook_id, **_place(session, after)})


def retry(session: Session, webhook_id: str) -> int:
    """Try the orders that are parked or failing now; returns how many. Raises WebhookNotFound."""
    _lock(session, webhook_id)
    return len(session.execute(RETRY, {"id": webhook_id}).all())


def waiting(session: Session, webhook_id: str) -> dict[str, int]:
    """How many orders have events to be sent, and how many of them are failing and parked."""
    return session.execute(WAITING, {"id": webhook_id}).one()._asdict()


def deliveries(session: Session, webhook_id: str, *, before: UUID | None, limit: int) -> list[Delivery]:
    """The attempts before that of this id, newest first. Raises WebhookNotFound."""
    find(session, webhook_id)
    tried = webhook_deliveries.c
    query = select(*TRIED).where(tried.webhook_id == webhook_id).order_by(tried.id.desc()).limit(limit)
    rows = session.execute(query.where(tried.id < before) if before else query)
    return [Delivery(**row._asdict()) for row in rows]


def failing(session: Session, webhook_id: str, limit: int = 20) -> list[Row[Any]]:
    """Orders that are parked, then those that are failing; longest first."""
    row = webhook_orders.c
    query = select(row.order_id, row.next_version, row.attempts, row.failing_since, row.next_attempt_at, row.error)
    failed = query.where(row.webhook_id == webhook_id, row.failing_since.is_not(None))
    return list(session.execute(failed.order_by(row.next_attempt_at.is_not(None), row.failing_since).limit(limit)))


def _place(session: Session, after: Cursor) -> dict[str, Any]:
    """Raises CursorOfAnotherLog."""
    read_feed(driver_connection(session), after, limit=1)
    return {"epoch": after.epoch, "transaction_id": str(after.transaction_id), "position": after.position}


def _lock(session: Session, webhook_id: str) -> None:
    query = select(*SHOWN).where(webhooks.c.id == webhook_id).with_for_update(key_share=True)
    _one(session.execute(query).one_or_none())


def _one(row: Row[Any] | None) -> Webhook:
    if row is None:
        raise WebhookNotFound
    return _webhook(row)


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(**row._asdict())
