"""Calling something as often as possible for a while, from several threads."""

import threading
import time
from collections.abc import Callable


def rate_in_threads(operation: Callable[[], object], threads: int, seconds: float, start_at: float = 0.0) -> float:
    """Calls per second that ended in time, all threads together; begins at `start_at` of the monotonic clock."""
    begin = max(start_at, time.monotonic())
    counts = [0] * threads

    def work(number: int) -> None:
        time.sleep(max(0.0, begin - time.monotonic()))
        while True:
            operation()
            if time.monotonic() > begin + seconds:
                return
            counts[number] += 1

    working = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    if not all(counts):
        raise RuntimeError("A thread has failed, or has done nothing in time.")
    return sum(counts) / seconds
