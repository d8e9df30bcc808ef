"""kombu's Redis transport, but for three things.

A channel keeps its client: kombu 5.7 makes a new one for every operation, which costs more CPU than the operation. A
server that refuses what it is asked, as one does that was made a replica or whose disk is full, is tried again every
second like one that is away: kombu lets the worker die of that. And workers start on a server that is full."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis
from redis.exceptions import OutOfMemoryError, ResponseError

from celeryconfig import task_queues

EXCHANGE = task_queues[0].exchange.name


class Channel(redis.Channel):
    _kept: Any = None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """A client is bound to a pool, and a channel gets another pool after a fork or a lost connection."""
        if client is None:
            if self._kept is None or self._kept.connection_pool is not self.pool:
                self._kept = self._create_client()  # type: ignore[attr-defined]  # kombu has no types
            client = self._kept
        yield client

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """A server that is full of hints refuses it, and workers that did not start would leave it full for ever. Ours
        were bound when it was not; to the others, workers' queues for one another, such a server sends nothing."""
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)  # type: ignore[misc]  # kombu has no types
        except OutOfMemoryError:
            if exchange == EXCHANGE and not any(queue in bound for bound in self.get_table(exchange)):
                raise


class Transport(redis.Transport):
    Channel = Channel
    connection_errors = (*redis.Transport.connection_errors, ResponseError)

    def establish_connection(self) -> Any:
        """Raises ResponseError where the server only reads."""
        connection = super().establish_connection()
        try:
            channel: Any = self._avail_channels[-1]  # type: ignore[attr-defined]  # kombu has no types
            channel.client.delete("orderlog.writable")  # which one without memory grants, as it does taking tasks
        except ResponseError:
            self.close_connection(self)  # type: ignore[arg-type]  # the same
            raise
        return connection
