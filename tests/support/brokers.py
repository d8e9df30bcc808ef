"""The broker of those tests that break one: Valkey, or RabbitMQ where TEST_BROKER says so."""

import os
import signal
from pathlib import Path
from typing import Any

from redis import Redis

from local.servers import ValkeyServer
from tests.support.hints import body
from tests.support.rabbitmq import RabbitServer

MOST_TAKEN = 10_000
BROKER = os.environ.get("TEST_BROKER") or "redis"


class RedisBroker(ValkeyServer):
    emptying = "FLUSHALL"

    def empty(self) -> None:
        with Redis.from_url(self.url) as client:
            client.flushall()

    def hints_waiting(self) -> int:
        with Redis.from_url(self.url) as client:
            return int(client.llen("orderlog"))

    def take_hints(self) -> list[Any]:
        """[order id, version] of each that waits."""
        with Redis.from_url(self.url) as client:
            taken: Any = client.lpop("orderlog", MOST_TAKEN) or []
        return [body(message.decode())[0] for message in taken]

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def refuse(self) -> None:
        """It goes on answering and takes nothing, as one that was made a replica."""
        with Redis.from_url(self.url) as client:
            client.replicaof("127.0.0.1", 1)

    def accept(self) -> None:
        with Redis.from_url(self.url) as client:
            client.replicaof("NO", "ONE")


Broker = RedisBroker | RabbitServer


def new_broker(folder: Path) -> Broker:
    """Not started yet."""
    kinds: dict[str, type[Broker]] = {"redis": RedisBroker, "rabbitmq": RabbitServer}
    return kinds[BROKER](folder)
