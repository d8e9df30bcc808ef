"""kombu's Redis transport, but for one thing: a channel keeps its client.

kombu 5.7 makes a new client object for every operation, which costs more CPU than the operation itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis


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


class Transport(redis.Transport):
    Channel = Channel
