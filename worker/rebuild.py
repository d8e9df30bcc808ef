"""Asking the workers to help with a rebuild."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from worker.app import app
from worker.enqueue import connect
from worker.tasks import rebuild_range


class BrokerAway(Exception):
    def __init__(self) -> None:
        super().__init__("The broker does not answer; try again, or without the workers.")


def ask_for_ranges(rebuild_id: str, names: Sequence[str], ranges: int) -> None:
    """A task for each. Raises BrokerAway."""
    with _channel() as channel:
        producer = app.amqp.Producer(channel, auto_declare=False)
        for _ in range(ranges):
            rebuild_range.apply_async((rebuild_id, list(names)), producer=producer, retry=False)


def ranges_waiting() -> int:
    """How many tasks no worker has taken yet. Raises BrokerAway."""
    with _channel() as channel:
        return int(channel.queue_declare(app.conf.task_routes[rebuild_range.name]["queue"]).message_count)


@contextmanager
def _channel() -> Iterator[Any]:
    try:
        with connect() as connection:
            yield connection.default_channel
    except (OperationalError, RedisError) as error:
        raise BrokerAway from error
