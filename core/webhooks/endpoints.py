"""Endpoints: who wants to be told of which events, what each has still to get, and what was tried."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text, update
from sqlalchemy.orm import Session
from uuid_utils import uuid7

from core.database import driver_connection
from core.event_sourcing.feed import Cursor, read_feed
from core.orders.errors import InvalidValue
from core.webhooks.tables import webhooks

MOST_ENDPOINTS = 100
MOST_SECRETS = 5  # that sign
LAST_ID = UUID(int=2**128 - 1)

Webhook = Mapping[str, Any]
"""An endpoint as SHOW tells of it: without its secrets, and with the number of orders that it waits for."""

SHOW = text("""
    SELECT id, url, description, types, enabled, disabled_because, created_at, updated_at, waiting, failing, parked
    FROM webhooks CROSS JOIN LATERAL (
        SELECT count(*) AS waiting,
               count(*) FILTER (WHERE failing_since IS NOT NULL AND next_attempt_at IS NOT NULL) AS failing,
               count(*) FILTER (WHERE next_attempt_at IS NULL) AS parked
        FROM webhook_orders WHERE webhook_id = webhooks.id
    ) AS orders
    WHERE id = coalesce(:id, id)
    ORDER BY id
""")

# Orders by endpoint; what is parked at a disabled one is sent when it is enabled.
PARKED = text("""
    SELECT id, parked FROM webhooks CROSS JOIN LATERAL (
        SELECT count(*) AS parked FROM webhook_orders WHERE webhook_id = webhooks.id AND next_attempt_at IS NULL
    ) AS orders
    WHERE enabled AND parked > 0 ORDER BY id
""")

ALONE = text("SELECT pg_advisory_xact_lock(hashtext('orderlog.webhooks'))")
COUNT = text("SELECT count(*) FROM webhooks")

# Without a cursor, an endpoint begins after all that is settled.
END = text("""
    SELECT log_epoch() AS epoch, pg_snapshot_xmin(pg_current_snapshot())::text AS transaction_id, 0 AS position
""")

# Whoever changes several of an endpoint's orders, or an order and the endpoint, locks the endpoint first.
LOCK = text("SELECT id FROM webhooks WHERE id = :id FOR NO KEY UPDATE")

DELETE = text("DELETE FROM webhooks WHERE id = :id")

# Those that sign beside the newest: a receiver may have any of them.
ROTATE = text(f"""
    UPDATE webhooks
    SET previous_secret = concat_ws(' ', secret, CASE WHEN previous_until > now()
            THEN array_to_string((string_to_array(previous_secret, ' '))[1:{MOST_SECRETS - 2}], ' ') END),
        previous_until = now() + interval '24 hours', secret = :secret, updated_at = now()
    WHERE id = :id
""")

EVENT = text("SELECT event_type FROM events WHERE aggregate_id = :order_id AND version = :version")

# What waits from there on comes again with it, so that its order holds. What `dispatch` has not passed comes anyway.
# An endpoint that is being deleted is waited for: there is nothing to send when it has gone.
REDELIVER = text("""
    INSERT INTO webhook_orders AS known (webhook_id, order_id, next_version, last_version)
    SELECT webhook.id, aggregate_id, version, version
    FROM events CROSS JOIN (SELECT * FROM webhooks WHERE id = :id FOR KEY SHARE) AS webhook
    WHERE aggregate_id = :order_id AND version = :version
      AND (events.epoch, events.transaction_id, events.position)
       <= (webhook.epoch, webhook.transaction_id, webhook.position)
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

DELIVERIES = text("""
    SELECT id, order_id, version, event_type, attempted_at, duration_ms, status, error, answer
    FROM webhook_deliveries WHERE webhook_id = :id AND id < :before
    ORDER BY id DESC LIMIT :limit
""")

FAILING = text("""
    SELECT order_id, next_version, next_attempt_at, error
    FROM webhook_orders WHERE webhook_id = :id AND failing_since IS NOT NULL
    ORDER BY next_attempt_at IS NOT NULL, failing_since LIMIT :limit
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


def new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def create(
    session: Session, url: str, description: str, types: Sequence[str], *, enabled: bool, after: Cursor | None = None
) -> Webhook:
    """With its `secret`, which is shown only now. Raises TooManyWebhooks, CursorOfAnotherLog."""
    session.execute(ALONE)  # or several might each be the last
    if session.execute(COUNT).scalar_one() >= MOST_ENDPOINTS:
        raise TooManyWebhooks
    place = _place(session, after) if after else session.execute(END).one()._asdict()
    given = {"url": url, "description": description, "types": types, "enabled": enabled}
    webhook_id, secret = str(uuid7()), new_secret()
    session.execute(insert(webhooks).values(id=webhook_id, secret=secret, **given, **place))
    return {**find(session, webhook_id), "secret": secret}


def list_webhooks(session: Session) -> list[Webhook]:
    """All of them, oldest first."""
    return [row._asdict() for row in session.execute(SHOW, {"id": None})]


def find(session: Session, webhook_id: str) -> Webhook:
    """Raises WebhookNotFound."""
    row = session.execute(SHOW, {"id": webhook_id}).one_or_none()
    if row is None:
        raise WebhookNotFound
    return row._asdict()


def change(session: Session, webhook_id: str, changes: Mapping[str, Any]) -> Webhook:
    """Of url, description, types and enabled. One that is enabled tries at once what has failed before.

    Raises WebhookNotFound."""
    values = {**changes, "updated_at": text("now()")}
    if "enabled" in changes:
        values |= {"disabled_because": None, "looked_at": text("now()")}
    session.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(values))
    if changes.get("enabled"):
        retry(session, webhook_id)
    return find(session, webhook_id)


def remove(session: Session, webhook_id: str) -> None:
    """With all that it has still to get. Raises WebhookNotFound."""
    find(session, webhook_id)
    session.execute(DELETE, {"id": webhook_id})


def rotate(session: Session, webhook_id: str) -> Webhook:
    """With another `secret`, which is shown only now; for a day those before it sign too. Raises WebhookNotFound."""
    secret = new_secret()
    session.execute(ROTATE, {"id": webhook_id, "secret": secret})
    return {**find(session, webhook_id), "secret": secret}


def redeliver(session: Session, webhook_id: str, order_id: str, version: int) -> None:
    """Send this event again; if later ones of its order wait, all up to the last of these.

    Raises WebhookNotFound, NoSuchEvent, InvalidValue if the endpoint does not want events of its type."""
    webhook, event = find(session, webhook_id), {"order_id": order_id, "version": version}
    event_type = session.execute(EVENT, event).scalar_one_or_none()
    if event_type is None:
        raise NoSuchEvent
    if webhook["types"] and event_type not in webhook["types"]:
        raise InvalidValue("event_id", f"must be of a type that the webhook wants, which {event_type} is not")
    session.execute(REDELIVER, {"id": webhook["id"], **event})


def redeliver_after(session: Session, webhook_id: str, after: Cursor) -> None:
    """Send all that comes after the cursor again. Raises WebhookNotFound, CursorOfAnotherLog."""
    place = _place(session, after)
    retry(session, webhook_id)
    session.execute(REWIND, {"id": webhook_id, **place})


def retry(session: Session, webhook_id: str) -> int:
    """Try the orders that are parked or failing now; returns how many. Raises WebhookNotFound."""
    if session.execute(LOCK, {"id": webhook_id}).one_or_none() is None:
        raise WebhookNotFound
    return len(session.execute(RETRY, {"id": webhook_id}).all())


def deliveries(session: Session, webhook_id: str, *, before: UUID | None, limit: int) -> list[dict[str, Any]]:
    """The attempts before that of this id, newest first. Raises WebhookNotFound."""
    wanted = {"id": find(session, webhook_id)["id"], "before": before or LAST_ID, "limit": limit}
    return [row._asdict() for row in session.execute(DELIVERIES, wanted)]


def failing_orders(session: Session, webhook_id: str, limit: int) -> list[dict[str, Any]]:
    """Those that are parked, then those that are tried again; longest first."""
    return [row._asdict() for row in session.execute(FAILING, {"id": webhook_id, "limit": limit})]


def parked(session: Session) -> dict[str, int]:
    """How many orders wait for somebody to retry, by the id of the endpoint; those that have some."""
    return {row.id: row.parked for row in session.execute(PARKED)}


def parked_line(webhook_id: str, orders: int) -> str:
    return f"webhook {webhook_id}: {orders} orders are parked; `flask webhooks retry {webhook_id}` sends them"


def _place(session: Session, after: Cursor) -> dict[str, Any]:
    """Raises CursorOfAnotherLog."""
    read_feed(driver_connection(session), after, limit=1)
    return {"epoch": after.epoch, "transaction_id": str(after.transaction_id), "position": after.position}
