"""Whether what `make run` needs or has started can be used."""

import urllib.request
from collections.abc import Callable

import psycopg
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError as BrokerError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from core.database import connection_arguments
from core.urls import UnusableUrl
from local.servers import CannotStart


def require_postgresql(url: str) -> None:
    """Raises CannotStart."""
    try:
        psycopg.connect(**connection_arguments(url)).close()
    except UnusableUrl as error:
        raise CannotStart(f"DATABASE_URL {error}") from error
    except psycopg.OperationalError as error:
        raise CannotStart(f"The PostgreSQL that DATABASE_URL names does not answer: {error}") from error


def require_redis(url: str) -> None:
    """Raises CannotStart."""
    try:
        client = Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5, retry=Retry(NoBackoff(), 0))
        with client:
            client.ping()
    except ValueError as error:
        raise CannotStart("REDIS_URL is not like redis://:password@host:port/0.") from error
    except RedisError as error:
        raise CannotStart(f"The Redis that REDIS_URL names does not answer: {error}") from error


def require_broker(url: str) -> None:
    """Raises CannotStart."""
    try:
        with Connection(url, connect_timeout=5, heartbeat=0) as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
    except (KeyError, ValueError) as error:
        raise CannotStart("BROKER_URL is not like amqp://user:password@host:port/vhost.") from error
    except BrokerError as error:
        raise CannotStart(f"The broker that BROKER_URL names does not answer: {error}") from error


def answers(url: str) -> bool:
    """Whether an http URL answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - addresses of what was started here
            return bool(answer.status == 200)
    except OSError:
        return False


def workers_answer(broker_url: str, number: int) -> Callable[[], bool]:
    """Asks whether so many Celery workers answer a ping."""
    asking = Celery("make run", broker=broker_url, set_as_current=False)

    def ask() -> bool:
        try:
            return len(asking.control.ping(timeout=0.5) or []) >= number
        except BrokerError:
            return False

    return ask
