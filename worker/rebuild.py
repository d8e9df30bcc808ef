"""Asking the workers to help with a rebuild."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from worker.app import app
from worker.broker import SOON, connect, faults
from worker.tasks import rebuild_range


class BrokerAway(Exception):
    def __init__(self) -> None:
        super().__init__("The broker does not answer; try again, or without the workers.")


def ask_for_ranges(rebuild_id: str, names: Sequence[str], ranges: int) -> None:
    """A task for each. Raises BrokerAway."""
    with _channel() as channel:
        producer = app.amqp.Producer(channel, auto_declare=False)
        for _ in range(ranges):
            rebuild_range.apply_async((rebuild_id, list(names)), producer=producer, **SOON)


def ranges_waiting() -> int:
    """How many tasks no worker has taken yet. Raises BrokerAway."""
    with _channel() as channel:
        queue = app.amqp.queues[app.conf.task_routes[rebuild_range.name]["queue"]].bind(channel)
        declared: Any = queue.queue_declare()  # for the stubs a name; it says how many messages there are, too
        return int(declared.message_count)


@contextmanager
def _channel() -> Iterator[Any]:
    with connect() as connection:
        try:
            yield connection.default_channel
        except faults(connection) as error:
            raise BrokerAway from error
