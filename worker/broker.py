"""Connections to publish by: they give up at their first failure, and find out a broker that is merely silent."""

from typing import Any

from kombu import Connection
from kombu.exceptions import OperationalError

from core.settings import is_redis
from worker.app import app

# A kept connection to RabbitMQ sends no heartbeats, so the broker asks for none; it confirms each task instead, which
# is how its silence is noticed.
TO_REDIS: dict[str, Any] = {"transport_options": {"max_retries": 0, "socket_connect_timeout": 1, "socket_timeout": 1}}
TO_RABBITMQ: dict[str, Any] = {
    "transport_options": {"max_retries": 0, "confirm_publish": True},
    "connect_timeout": 1,
    "heartbeat": 0,
}
SOON: dict[str, Any] = {"retry": False, "timeout": 1, "confirm_timeout": 1}  # for apply_async; seconds


def connect() -> Connection:
    return app.connection_for_write(**(TO_REDIS if is_redis(app.conf.broker_url) else TO_RABBITMQ))


def faults(connection: Connection) -> tuple[type[BaseException], ...]:
    """What is raised by a broker that is away, or refuses what it is asked for."""
    return (OperationalError, *connection.connection_errors, *connection.channel_errors)


def has_gone(connection: Connection) -> bool:
    """Whether RabbitMQ has closed this connection since it was last used; Redis' client finds out by itself."""
    if is_redis(app.conf.broker_url):
        return False
    try:
        connection.drain_events(timeout=0)
    except TimeoutError:  # nothing has come
        return False
    except faults(connection):
        return True
    return not connection.connected
