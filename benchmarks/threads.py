"""Calling something as often as possible for a while, from several threads."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def rate_in_threads(operation: Callable[[], object], threads: int, seconds: float, start_at: float = 0.0) -> float:
    """Calls per second that ended in time, all threads together; begins at `start_at` of the monotonic clock."""
    begin = max(start_at, time.monotonic())

    def count() -> int:
        time.sleep(max(0.0, begin - time.monotonic()))
        done = 0
        while True:
            operation()
            if time.monotonic() > begin + seconds:
                return done
            done += 1

    with ThreadPoolExecutor(threads) as pool:
        counting = [pool.submit(count) for _ in range(threads)]
        return sum(each.result() for each in counting) / seconds
