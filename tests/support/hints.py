"""What the workers would receive: the tasks as they lie in the broker."""

import base64
import json
import time
from typing import Any

from redis import Redis


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
        """Of the hints for this order, once there are as many as expected or a second is over."""
        deadline = time.monotonic() + 1
        while len(found := self.messages(order_id)) < expected and time.monotonic() < deadline:
            time.sleep(0.01)
        return [body(message)[0][1] for message in found]


def body(message: str) -> Any:
    """A task's [arguments, named arguments, options]."""
    return json.loads(base64.b64decode(json.loads(message)["body"]))
