"""What the workers would receive: the tasks as they lie in the broker."""

import base64
import json
from typing import Any

from redis import Redis

from tests.support.waiting import wait_until


class Queue:
    """Hints go out from a thread of their own, so they may come a moment after the answer, though always in turn."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def messages(self, order_id: str) -> list[str]:
        """Those for this order, oldest first."""
        raw: list[bytes] = self._redis.lrange("orderlog", 0, -1)  # type: ignore[assignment]
        found = [message.decode() for message in reversed(raw)]
        return [message for message in found if body(message)[0][0] == order_id]

    def versions(self, order_id: str, expected: int) -> list[int]:
        """Of the hints for this order, once there are as many as expected."""
        wait_until(lambda: len(self.messages(order_id)) >= expected)
        return [body(message)[0][1] for message in self.messages(order_id)]


def body(message: str) -> Any:
    """A task's [arguments, named arguments, options]."""
    return json.loads(base64.b64decode(json.loads(message)["body"]))
