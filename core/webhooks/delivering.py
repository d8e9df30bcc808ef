"""From the log to receivers: at least once, in the order of versions within an order, orders side by side.

`dispatch` notes in `webhook_orders` what a checkpoint passes; `deliver` sends one event and notes what came of it. No
database connection is held meanwhile. Both may run anywhere, any number of times at once.

A send that may take long (`risky`) is one to an endpoint whose last attempt failed or was slow, or that has had none,
or one of an order that has failed. A process keeps threads that are not for such sends: its `share` is for them.
"""

import logging
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Semaphore
from typing import NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker
from uuid_utils.compat import uuid7

from core.event_sourcing.cloud_events import MEDIA_TYPE, cloud_event, event_id
from core.event_sourcing.feed import SETTLED_BELOW, FeedEvent
from core.safe_errors import describe, waited_for_lock
from core.webhooks.sending import TOTAL, Answer, Sender, signed

logger = logging.getLogger(__name__)

BATCH = 10_000  # events that one dispatch looks at
AT_ONCE = 4  # orders of one endpoint that have not failed
FAILING_AT_ONCE = 1  # of those that have; they have a slot of their own, so neither kind waits for the other
SLOW = 1000  # milliseconds that an attempt took
LEASE = 2 * TOTAL  # seconds after which a sender that has said nothing counts as dead
GONE = 410
HEADERS = {"Content-Type": MEDIA_TYPE, "User-Agent": "Orderlog"}

MINUTE, HOUR = 60, 3600
PAUSES = (5, 30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR)  # seconds; then the last
JITTER = 0.2
PATIENCE = 3 * 24 * HOUR  # seconds from the first failure to the last attempt

DUE = "next_attempt_at <= now() AND (taken_until IS NULL OR taken_until <= now())"

UNTRIED, FAILING = "failing_since IS NULL", "failing_since IS NOT NULL"


def _room(kind: str, most: int) -> str:
    """How many more of the endpoint's orders of this kind may be sent now."""
    taken = f"SELECT count(*) FROM webhook_orders WHERE webhook_id = webhooks.id AND {kind} AND taken_until > now()"
    return f"({most} - ({taken}))"


def _due(kind: str, most: int) -> str:
    """How many of them are due and have room."""
    due = f"SELECT FROM webhook_orders WHERE webhook_id = webhooks.id AND {kind} AND {DUE} LIMIT {most}"
    return f"greatest(0, least({_room(kind, most)}, (SELECT count(*) FROM ({due}) AS due)))"


def _next(kind: str, most: int) -> str:
    """The one of them that has been due for longest, if there is room."""
    return f"""
        SELECT order_id FROM webhook_orders
        WHERE webhook_id = :id AND {kind} AND {DUE} AND (SELECT {_room(kind, most)} FROM webhooks WHERE id = :id) > 0
        ORDER BY next_attempt_at LIMIT 1
    """


LOOK = text(f"""
    SELECT id,
           EXISTS (
               SELECT FROM events
               WHERE (epoch, transaction_id, position) > (webhooks.epoch, webhooks.transaction_id, webhooks.position)
                 AND (epoch, transaction_id) < ({SETTLED_BELOW})) AS has_news,
           looked_at < now() - interval '5 seconds' AS is_overlooked,
           {_due(UNTRIED, AT_ONCE)} + {_due(FAILING, FAILING_AT_ONCE)} AS due
    FROM webhooks WHERE enabled
""")

# An endpoint that is busy is waited for, or it might be passed over again and again; not for long, as others wait too.
BRIEFLY = text("SET LOCAL lock_timeout = '500ms'")

# For readiness, which asks when somebody looked last; it locks the endpoint for what follows.
LOOKED = text("UPDATE webhooks SET looked_at = now() WHERE id = :id AND enabled")

SECONDS_SINCE = text(
    "SELECT coalesce(max(extract(epoch FROM now() - looked_at)), 0)::float FROM webhooks WHERE enabled"
)

# An order that is parked stays so.
DISPATCH = text(f"""
    WITH endpoint AS MATERIALIZED (
        SELECT * FROM webhooks WHERE id = :id AND enabled FOR NO KEY UPDATE
    ), batch AS MATERIALIZED (
        SELECT events.* FROM endpoint CROSS JOIN LATERAL (
            SELECT epoch, transaction_id, position, aggregate_id, version, event_type FROM events
            WHERE (epoch, transaction_id, position) > (endpoint.epoch, endpoint.transaction_id, endpoint.position)
              AND (epoch, transaction_id) < ({SETTLED_BELOW})
            ORDER BY epoch, transaction_id, position
            LIMIT {BATCH}
        ) AS events
    ), noted AS (
        INSERT INTO webhook_orders AS known (webhook_id, order_id, next_version, last_version)
        SELECT :id, aggregate_id, min(version), max(version) FROM batch
        WHERE (SELECT cardinality(types) = 0 OR event_type = ANY(types) FROM endpoint)
        GROUP BY aggregate_id ORDER BY aggregate_id
        ON CONFLICT (webhook_id, order_id) DO UPDATE
        SET next_version = least(known.next_version, excluded.next_version),
            last_version = greatest(known.last_version, excluded.last_version)
        RETURNING 1
    ), moved AS (
        UPDATE webhooks SET (epoch, transaction_id, position) = (
            SELECT epoch, transaction_id, position FROM batch
            ORDER BY epoch DESC, transaction_id DESC, position DESC LIMIT 1)
        WHERE id = :id AND EXISTS (SELECT FROM batch)
    )
    SELECT count(*) FROM noted
""")

# Whoever takes an order of the endpoint does so alone, so that its limit holds: TAKE sees what others took before.
OPEN = text(f"""
    SELECT url, types,
           coalesce((
               SELECT status IS NULL OR status NOT BETWEEN 200 AND 299 OR duration_ms > {SLOW} FROM webhook_deliveries
               WHERE webhook_id = webhooks.id ORDER BY id DESC LIMIT 1), true) AS is_risky,
           array_prepend(secret, CASE WHEN previous_until > now() THEN string_to_array(previous_secret, ' ') END)
               AS secrets
    FROM webhooks WHERE id = :id AND enabled FOR NO KEY UPDATE
""")

TAKE = text(f"""
    UPDATE webhook_orders SET taken_until = now() + make_interval(secs => {LEASE})
    WHERE webhook_id = :id AND order_id = coalesce(
        ({_next(UNTRIED, AT_ONCE)}),
        CASE WHEN :risky THEN ({_next(FAILING, FAILING_AT_ONCE)}) END)
    RETURNING order_id, next_version, last_version, attempts, taken_until
""")

NEXT_EVENT = text("""
    SELECT epoch, transaction_id::text::bigint, position, aggregate_id, version, event_type, event_data::text, metadata,
           occurred_at
    FROM events
    WHERE aggregate_id = :order_id AND version BETWEEN :next_version AND :last_version
      AND (cardinality(CAST(:types AS text[])) = 0 OR event_type = ANY(:types))
    ORDER BY version LIMIT 1
""")

# What follows names the order as it was taken: if somebody else has taken it since, nothing happens.
OURS = "webhook_id = :webhook_id AND order_id = :order_id AND taken_until = :taken_until"

DONE = text(f"""
    DELETE FROM webhook_orders WHERE {OURS} AND next_version = :next_version AND last_version = :version
    RETURNING order_id
""")

# It may have been set back meanwhile, by a redelivery.
ADVANCE = text(f"""
    UPDATE webhook_orders
    SET next_version = CASE WHEN next_version = :next_version THEN :version + 1 ELSE next_version END,
        next_attempt_at = now(), taken_until = NULL, attempts = 0, failing_since = NULL, error = NULL
    WHERE {OURS}
""")

POSTPONE = text(f"""
    UPDATE webhook_orders
    SET attempts = attempts + 1, failing_since = coalesce(failing_since, now()), taken_until = NULL, error = :error,
        next_attempt_at = CASE
            WHEN now() + make_interval(secs => :pause)
               < coalesce(failing_since, now()) + make_interval(secs => {PATIENCE})
            THEN now() + make_interval(secs => :pause) END
    WHERE {OURS}
    RETURNING next_attempt_at IS NULL AS parked
""")

DISABLE = text("""
    UPDATE webhooks SET enabled = false, disabled_because = :because, updated_at = now()
    WHERE id = :webhook_id AND url = :url
    RETURNING id
""")

NOTE = text("""
    INSERT INTO webhook_deliveries
        (id, webhook_id, order_id, version, event_type, attempted_at, duration_ms, status, error, answer)
    VALUES
        (:id, :webhook_id, :order_id, :version, :event_type, :attempted_at, :duration_ms, :status, :error, :text)
""")

FORGET_SECRETS = text("UPDATE webhooks SET previous_secret = NULL WHERE previous_until < now()")
PRUNE = text("""
    DELETE FROM webhook_deliveries
    WHERE attempted_at < now() - interval '30 days' OR webhook_id NOT IN (SELECT id FROM webhooks)
    RETURNING id
""")


def pause(attempts: int) -> float:
    """The seconds to wait after so many failures, jittered by a fifth."""
    return PAUSES[min(attempts, len(PAUSES)) - 1] * random.uniform(1 - JITTER, 1 + JITTER)


def message_id(webhook_id: str, event: str) -> str:
    """The same for each attempt to bring the event of this id to this endpoint."""
    return f"msg_{uuid5(UUID(webhook_id), event).hex}"


def dispatch(sessions: sessionmaker[Session]) -> dict[str, int]:
    """Note for every endpoint what is new; returns how many of its orders can be sent now."""
    with sessions.begin() as session:
        endpoints = session.execute(LOOK).all()
    ready = {}
    for endpoint in endpoints:
        noted = _note_news(sessions, endpoint.id) if endpoint.has_news or endpoint.is_overlooked else 0
        ready[endpoint.id] = max(endpoint.due, min(noted, AT_ONCE))
    return ready


def _note_news(sessions: sessionmaker[Session], webhook_id: str) -> int:
    """Returns how many orders have some; none if somebody holds the endpoint for long, and the next dispatch tries."""
    try:
        with sessions.begin() as session:
            session.execute(BRIEFLY)
            session.execute(LOOKED, {"id": webhook_id})
            return int(session.execute(DISPATCH, {"id": webhook_id}).scalar_one())
    except DBAPIError as error:
        if not waited_for_lock(error):
            raise
        return 0


def seconds_since_dispatch(session: Session) -> float:
    """The longest that an enabled endpoint has waited for `dispatch` to come by."""
    return float(session.execute(SECONDS_SINCE).scalar_one())


class Taken(NamedTuple):
    """An event to be sent, and its order as it was taken."""

    webhook_id: str
    url: str
    secrets: Sequence[str]
    next_version: int
    attempts: int
    taken_until: datetime
    event: FeedEvent


def deliver(sessions: sessionmaker[Session], sender: Sender, webhook_id: str, share: Semaphore) -> bool:
    """Send the next event of one of the endpoint's orders; False if none is due, or enough are being sent.

    `share` is what this process spares for risky sends."""
    if _send_next(sessions, sender, webhook_id, risky=False):
        return True
    if not share.acquire(blocking=False):
        return False
    try:
        return _send_next(sessions, sender, webhook_id, risky=True)
    finally:
        share.release()


def _send_next(sessions: sessionmaker[Session], sender: Sender, webhook_id: str, *, risky: bool) -> bool:
    with sessions.begin() as session:
        taken = _take(session, webhook_id, risky=risky)
    if taken is None:
        return False
    began, clock = datetime.now(UTC), time.monotonic()
    try:
        body = cloud_event(taken.event)
        headers = signed(message_id(webhook_id, event_id(taken.event)), body, taken.secrets, began)
        answer = sender.post(taken.url, {**HEADERS, **headers}, body)
    except Exception as error:  # whatever it is, such as an event that is unknown here, other orders go on
        answer = Answer(None, describe(error))
    with sessions.begin() as session:
        _note(session, taken, answer, began, time.monotonic() - clock)
    return True


def _take(session: Session, webhook_id: str, *, risky: bool) -> Taken | None:
    """The next event to be sent; one whose sending is risky only if that is wanted."""
    endpoint = session.execute(OPEN, {"id": webhook_id}).one_or_none()
    if endpoint is None or (endpoint.is_risky and not risky):
        return None
    while order := session.execute(TAKE, {"id": webhook_id, "risky": risky}).one_or_none():
        event = session.execute(NEXT_EVENT, {**order._asdict(), "types": endpoint.types}).one_or_none()
        if event is not None:
            of_order = order.next_version, order.attempts, order.taken_until
            return Taken(webhook_id, endpoint.url, endpoint.secrets, *of_order, FeedEvent(*event))
        session.execute(DONE, {**order._asdict(), "webhook_id": webhook_id, "version": order.last_version})
    return None


def _note(session: Session, taken: Taken, answer: Answer, began: datetime, seconds: float) -> None:
    order_id, version = taken.event.order_id, taken.event.version
    ours = {"webhook_id": taken.webhook_id, "order_id": order_id, "taken_until": taken.taken_until, "version": version}
    attempt = {"id": uuid7(), "attempted_at": began, "duration_ms": round(seconds * 1000)}
    session.execute(NOTE, {**ours, **attempt, "event_type": taken.event.event_type, **answer._asdict()})
    if answer.status == GONE:  # the endpoint before its order, as everywhere
        gone = {"webhook_id": taken.webhook_id, "url": taken.url, "because": "it answered 410 Gone"}
        if session.execute(DISABLE, gone).one_or_none() is not None:  # it has not got another URL meanwhile
            logger.error("Webhook %s answered 410 Gone and is disabled.", taken.webhook_id)
    if answer.is_good:
        reached = {**ours, "next_version": taken.next_version}
        if session.execute(DONE, reached).one_or_none() is None:
            session.execute(ADVANCE, reached)
        return
    failed = {
        **ours,
        "error": answer.error or f"answered {answer.status}",
        "pause": max(pause(taken.attempts + 1), answer.retry_after),
    }
    postponed = session.execute(POSTPONE, failed).one_or_none()
    if postponed is not None and postponed.parked:
        logger.error("Parked: webhook %s does not take order %s version %d.", taken.webhook_id, order_id, version)


def prune(session: Session) -> int:
    """Forget secrets that sign no more, and the attempts of more than 30 days ago or of endpoints that were deleted,
    which may be too many to delete at once with them; returns how many attempts."""
    session.execute(FORGET_SECRETS)
    return len(session.execute(PRUNE).all())
