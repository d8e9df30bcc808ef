"""Whether the servers beside the primary can be used: the replica, the broker, and Redis for what it counts."""

from kombu import Connection
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.projection.status import last_catch_up
from core.read_models.wiring import PROJECTORS
from core.safe_errors import DATABASE_ERRORS
from core.settings import is_redis
from webapp.database import has_replica, read_sessions, sessions

BROKER_TIMEOUT = 0.5  # seconds
LAG_OVERDUE = 15  # seconds; catch-up's visits are replayed too, and come by every two

WHO_ARE_YOU = text("SELECT pg_is_in_recovery() AS replays, pg_postmaster_start_time() AS started")


def of_neighbours(broker_url: str, redis_url: str | None, *, limits: bool) -> dict[str, str]:
    """By name, "ok" or what is wrong and what that means; only those that are used."""
    checks = {}
    if is_redis(broker_url):
        checks["redis"] = _redis(broker_url, "new events are shown by catch-up once it does")
    else:
        checks["rabbitmq"] = _rabbitmq(broker_url)
    if limits and redis_url and redis_url != broker_url:
        checks["rate_limits"] = _redis(redis_url, "each process counts for itself")
    if has_replica():
        checks["replica"] = _replica()
    return checks


def _redis(url: str, meanwhile: str) -> str:
    client = Redis.from_url(
        url,
        socket_connect_timeout=BROKER_TIMEOUT,
        socket_timeout=BROKER_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        client.ping()
    except RedisError:
        return f"Redis does not answer; {meanwhile}"
    finally:
        client.close()
    return "ok"


def _rabbitmq(url: str) -> str:
    with Connection(url, connect_timeout=BROKER_TIMEOUT, heartbeat=0) as connection:
        try:  # connection.connect() would try twice, two seconds apart
            connection.transport.close_connection(connection.transport.establish_connection())
        except (*connection.connection_errors, *connection.channel_errors):
            return "RabbitMQ does not answer; new events are shown by catch-up once it does"
    return "ok"


def _replica() -> str:
    try:
        with read_sessions().begin() as replica, sessions().begin() as primary:
            return _of_replica(replica, primary)
    except DATABASE_ERRORS:
        return "the replica does not answer; queries are refused, commands go on"


def _of_replica(replica: Session, primary: Session) -> str:
    """One that was promoted answers as if nothing had happened since."""
    there, here = replica.execute(WHO_ARE_YOU).one(), primary.execute(WHO_ARE_YOU).one()
    if not there.replays and there.started != here.started:
        return "the replica follows no server any more; set DATABASE_REPLICA_URL to one that follows the primary"
    replayed, made = (last_catch_up(session, PROJECTORS) for session in (replica, primary))
    if made and (replayed is None or (made - replayed).total_seconds() > LAG_OVERDUE):
        behind = f"{(made - replayed).total_seconds():.0f} s behind" if replayed else "far behind"
        return f"the replica is {behind}; queries show the past"
    return "ok"
