"""What `/readyz` looks at. A check answers "ok", or the fault and its consequence."""

import threading
import time
from collections.abc import Callable, Set
from functools import cache

from alembic.script import ScriptDirectory
from flask import current_app
from kombu import Connection
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.durability import dangers
from core.projection.status import OVERDUE, holders, last_catch_up, seconds_held_back, seconds_since_catch_up
from core.read_models.wiring import PROJECTORS
from core.safe_errors import DATABASE_ERRORS
from core.settings import is_redis
from webapp.database import db, has_replica, migrate, read_sessions, sessions

OK = "ok"
AWAY = "PostgreSQL does not answer"
MEANWHILE = "new events are shown by catch-up once it does"

BROKER_TIMEOUT = 0.5  # seconds
READINESS = "orderlog-readiness"
KEPT_SECONDS = 1.0

BEHIND = text("""
    SELECT coalesce(pg_sequence_last_value('events_position_seq'), 0) < coalesce(max(position), 0) FROM events
""")
SET_SEQUENCE = "SELECT setval('events_position_seq', max(position)) FROM events"

WHO_ARE_YOU = text("SELECT pg_is_in_recovery() AS replays, pg_postmaster_start_time() AS started")


class Readiness:
    """What the checks find, kept for so many seconds; probes that come while one of them looks get what was found last.

    Nobody needs a key to ask, so asking must cost nothing."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._found: dict[str, str] = {}
        self._until = 0.0
        self._looking = threading.Lock()

    def checks(self) -> dict[str, str]:
        if time.monotonic() >= self._until and self._looking.acquire(blocking=not self._found):
            try:
                if time.monotonic() >= self._until:
                    self._found = checks()
                    self._until = time.monotonic() + self._seconds
            finally:
                self._looking.release()
        return self._found


def checks() -> dict[str, str]:
    """By name; only servers that are used. Nothing more is asked of a PostgreSQL that is not ok."""
    broker_url, redis_url = current_app.config["BROKER_URL"], current_app.config["REDIS_URL"]
    results = {"postgresql": _ask(_postgresql)}
    if is_redis(broker_url):
        results["redis"] = _redis(broker_url, MEANWHILE)
    else:
        results["rabbitmq"] = _rabbitmq(broker_url)
    if current_app.config["RATE_LIMIT"] and redis_url and redis_url != broker_url:
        results["rate_limits"] = _redis(redis_url, "each process counts for itself")
    if has_replica():
        results["replica"] = _replica()
    if results["postgresql"] == OK:
        results["catch_up"] = _ask(_catch_up)
        for name, check in (("durability", _durability), ("positions", _positions)):
            if (told := _ask(check)) != OK:
                results[name] = told
    return results


def _ask(check: Callable[[Session], str]) -> str:
    try:
        return check(db.session())
    except DATABASE_ERRORS:
        return AWAY


def _postgresql(session: Session) -> str:
    table = session.execute(text("SELECT to_regclass('alembic_version')")).scalar()
    version = session.execute(text("SELECT version_num FROM alembic_version")).scalar() if table else None
    wanted, earlier = _migrations()
    if version in earlier:  # one that is not known here is a later release's, which is about to take over
        return f"the database is at migration {version}, not {wanted}; run `flask db upgrade`"
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


def _catch_up(session: Session) -> str:
    seconds = seconds_since_catch_up(session, PROJECTORS)
    if seconds is None:
        return "catch-up has never come by; see that beat and a worker run"
    if seconds > OVERDUE:
        return f"catch-up last came by {seconds:.0f} s ago; see that beat and a worker run"
    held_back = seconds_held_back(session, PROJECTORS)
    if held_back > OVERDUE and (found := holders(session)):
        return f"catch-up is {held_back:.0f} s behind, held back by {found[0]}"
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
        return f"Redis refuses to write ({error}); {meanwhile}"
    except RedisError:
        return f"Redis does not answer; {meanwhile}"
    finally:
        client.close()
    return OK


def _rabbitmq(url: str) -> str:
    with Connection(url, connect_timeout=BROKER_TIMEOUT, heartbeat=0) as connection:
        try:  # connection.connect() would try twice, two seconds apart
            connection.transport.close_connection(connection.transport.establish_connection())
        except (*connection.connection_errors, *connection.channel_errors):
            return f"RabbitMQ does not answer; {MEANWHILE}"
    return OK


def _replica() -> str:
    """One that was promoted answers as if nothing had happened since."""
    try:
        with read_sessions().begin() as replica, sessions().begin() as primary:
            there, here = replica.execute(WHO_ARE_YOU).one(), primary.execute(WHO_ARE_YOU).one()
            replayed, made = (last_catch_up(session, PROJECTORS) for session in (replica, primary))
    except DATABASE_ERRORS:
        return "the replica does not answer; queries are refused, commands go on"
    if not there.replays and there.started != here.started:
        return "the replica follows no server any more; set DATABASE_REPLICA_URL to one that follows the primary"
    if made and (replayed is None or (made - replayed).total_seconds() > OVERDUE):
        behind = f"{(made - replayed).total_seconds():.0f} s behind" if replayed else "far behind"
        return f"the replica is {behind}; queries show the past"
    return OK
