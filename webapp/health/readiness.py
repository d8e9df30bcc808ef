"""What `/readyz` looks at. A check answers "ok", or the fault and its consequence."""

import logging
import threading
import time
from collections.abc import Callable, Set
from functools import cache
from typing import Any

from alembic.script import ScriptDirectory
from amqp import Message
from amqp.exceptions import NotFound
from flask import current_app
from kombu import Connection
from psycopg.errors import InsufficientPrivilege
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry
from sqlalchemy import text
from sqlalchemy.orm import Session

from celeryconfig import task_queues
from core.database import UnusableDatabase
from core.durability import dangers
from core.projection.status import OVERDUE, holders, last_catch_up, seconds_held_back, seconds_since_catch_up
from core.read_models.wiring import PROJECTORS
from core.safe_errors import DATABASE_ERRORS, describe, escaped, original
from core.settings import is_redis
from core.webhooks import endpoints
from core.webhooks.delivering import seconds_since_dispatch
from webapp.database import db, has_replica, migrate, read_sessions, sessions

logger = logging.getLogger(__name__)

OK = "ok"
AWAY = "PostgreSQL does not answer"
REPLICA_AWAY = "the replica does not answer; queries are refused, commands go on"
MEANWHILE = "new events are shown by catch-up once it does"

BROKER_TIMEOUT = 0.5  # seconds
READINESS = "orderlog-readiness"
KEPT_SECONDS = 1.0
LATE = 3.0  # seconds; a server that has not answered for longer counts as away
FULL_SECONDS = 15.0  # after the last command that found no space
FULL = "PostgreSQL has no space left on its disk, so commands fail; make room"

BEHIND = text("""
    SELECT last_value + is_called::integer <= coalesce((SELECT max(position) FROM events), 0) FROM events_position_seq
""")
SET_SEQUENCE = "SELECT setval('events_position_seq', max(position)) FROM events"

WHO_ARE_YOU = text("SELECT pg_is_in_recovery() AS replays, pg_postmaster_start_time() AS started")


class Readiness:
    """What the checks find, kept for so many seconds; probes that come while one of them looks get what was found last,
    or, if the look is late, what it has found so far.

    Nobody needs a key to ask, so asking must cost nothing."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._found: dict[str, str] = {}
        self._until = 0.0
        self._so_far = {"postgresql": AWAY}
        self._looking = threading.Lock()
        self._full_until = 0.0

    def disk_is_full(self) -> None:
        """Only what writes can tell: a command has found out."""
        self._full_until = time.monotonic() + FULL_SECONDS

    def checks(self) -> dict[str, str]:
        if time.monotonic() < self._until:
            return self._found
        if self._looking.acquire(timeout=0 if self._found else LATE):
            try:
                if time.monotonic() >= self._until:
                    self._so_far = {"postgresql": AWAY}
                    check(self._so_far)
                    if time.monotonic() < self._full_until:
                        self._so_far["disk"] = FULL
                    self._found, self._until = self._so_far, time.monotonic() + self._seconds
            finally:
                self._looking.release()
        elif time.monotonic() > self._until + LATE:
            return dict(self._so_far)
        return self._found


def check(results: dict[str, str]) -> None:
    """Each check by its name; only servers that are used. Nothing more is asked of a PostgreSQL that is not ok.

    A server that is silent is waited for, and counts as away meanwhile: PostgreSQL does in `results` already."""
    broker_url, redis_url = current_app.config["BROKER_URL"], current_app.config["REDIS_URL"]
    results["postgresql"] = _ask(_postgresql)
    if is_redis(broker_url):
        results["redis"] = _redis(broker_url, MEANWHILE)
    else:
        results["rabbitmq"] = _rabbitmq(broker_url)
    if current_app.config["RATE_LIMIT"] and redis_url and redis_url != broker_url:
        results["rate_limits"] = _redis(redis_url, "each process counts for itself")
    if has_replica():
        results["replica"] = REPLICA_AWAY
        results["replica"] = _replica()
    if results["postgresql"] == OK:
        results["catch_up"] = _ask(_catch_up)
        for name, look in (("durability", _durability), ("positions", _positions), ("webhooks", _webhooks)):
            if (told := _ask(look)) != OK:
                results[name] = told


def _ask(look: Callable[[Session], str]) -> str:
    session = db.session()
    try:
        return look(session)
    except DATABASE_ERRORS as error:
        session.rollback()
        if isinstance(original(error), InsufficientPrivilege):
            return f"{describe(error)}; run migrations/roles.sql as the owner of the tables"
        if isinstance(original(error), UnusableDatabase):
            return str(original(error))
        return AWAY


def _postgresql(session: Session) -> str:
    table = session.execute(text("SELECT to_regclass('alembic_version')")).scalar()
    version = session.execute(text("SELECT version_num FROM alembic_version")).scalar() if table else None
    wanted, earlier = _migrations()
    if version in earlier:  # one that is not known here is a later release's, which is about to take over
        return f"the database is at migration {version}, not {wanted}; run `flask db upgrade`"
    if session.execute(text("SHOW transaction_read_only")).scalar() == "on":
        session.invalidate()  # it may be a setting of this connection, and the next look takes another one
        return "PostgreSQL takes no changes: it is a replica, or default_transaction_read_only is on"
    return OK


@cache
def _migrations() -> tuple[str | None, Set[str | None]]:
    """The newest, and those before it; None is an empty database."""
    migrations = ScriptDirectory(migrate.directory)
    newest = migrations.get_current_head()
    return newest, {None, *(migration.revision for migration in migrations.walk_revisions())} - {newest}


def _durability(session: Session) -> str:
    return " ".join(dangers(session)) or OK


def _positions(session: Session) -> str:
    if session.execute(BEHIND).scalar():
        return f"the sequence of positions is behind, so commands fail; run as the owner: {SET_SEQUENCE}"
    return OK


def _webhooks(session: Session) -> str:
    seconds = seconds_since_dispatch(session)
    if seconds > OVERDUE:
        return f"events were last sent to webhooks {seconds:.0f} s ago; see that webhooks runs"
    return "; ".join(endpoints.parked_line(*each) for each in endpoints.parked(session).items()) or OK


def _catch_up(session: Session) -> str:
    seconds = seconds_since_catch_up(session, PROJECTORS)
    if seconds is None:
        return "catch-up has never come by; see that beat and a worker run"
    if seconds > OVERDUE:
        return f"catch-up last came by {seconds:.0f} s ago; see that beat and a worker run"
    held_back = seconds_held_back(session, PROJECTORS)
    if held_back > OVERDUE:
        by = ", ".join(holders(session)) or "nothing that still goes on"
        return f"catch-up is {held_back:.0f} s behind, held back by {by}"
    return OK


def _redis(url: str, meanwhile: str) -> str:
    client = Redis.from_url(
        url,
        socket_connect_timeout=BROKER_TIMEOUT,
        socket_timeout=BROKER_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        client.set("orderlog.readyz", "1", ex=1)  # a replica, or a server without memory or disk, can only be read
    except ResponseError as error:
        logger.error("Redis refuses to write: %s", escaped(str(error)))
        return f"Redis refuses to write, as the log says; {meanwhile}"
    except RedisError:
        return f"Redis does not answer; {meanwhile}"
    finally:
        client.close()
    return OK


def _rabbitmq(url: str) -> str:
    """A RabbitMQ without memory or disk goes on taking connections, and reads no more from one that has published."""
    exchange = task_queues[0].exchange.name
    options = {"confirm_publish": True, "read_timeout": BROKER_TIMEOUT, "write_timeout": BROKER_TIMEOUT}
    with Connection(url, connect_timeout=BROKER_TIMEOUT, heartbeat=0, transport_options=options) as connection:
        faults = (*connection.connection_errors, *connection.channel_errors)
        try:  # connection.connect() would try twice, two seconds apart
            opened: Any = connection.transport.establish_connection()
        except faults:
            return f"RabbitMQ does not answer; {MEANWHILE}"
        try:
            channel = opened.channel()
            for _ in range(2):  # the second is not read; no queue gets them
                channel.basic_publish(Message(), exchange, "orderlog.readyz", confirm_timeout=BROKER_TIMEOUT)
            opened.close()
        except NotFound:  # it has read that; nobody has declared the exchange yet
            opened.close()
        except TimeoutError:
            return f"RabbitMQ takes no messages, see whether it has memory and disk left; {MEANWHILE}"
        except faults as error:
            logger.error("RabbitMQ refuses a message: %s", escaped(str(error)))
            return f"RabbitMQ refuses a message, as the log says; {MEANWHILE}"
        finally:
            opened.collect()
    return OK


def _replica() -> str:
    """One that was promoted answers as if nothing had happened since."""
    try:
        with read_sessions().begin() as replica, sessions().begin() as primary:
            there, here = replica.execute(WHO_ARE_YOU).one(), primary.execute(WHO_ARE_YOU).one()
            replayed, made = (last_catch_up(session, PROJECTORS) for session in (replica, primary))
    except DATABASE_ERRORS:
        return REPLICA_AWAY
    if not there.replays and there.started != here.started:
        return "the replica follows no server any more; set DATABASE_REPLICA_URL to one that follows the primary"
    if made and (replayed is None or (made - replayed).total_seconds() > OVERDUE):
        behind = f"{(made - replayed).total_seconds():.0f} s behind" if replayed else "far behind"
        return f"the replica is {behind}; queries show the past"
    return OK
