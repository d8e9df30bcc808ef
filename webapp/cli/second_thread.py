"""A second thread for `flask rebuild`: it computes while PostgreSQL writes what the first has computed, and in turn."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager


@contextmanager
def second_thread(take_range: Callable[[], bool]) -> Iterator["Future[None]"]:
    """Takes ranges too, until there is none or the block ends, which then waits for the range it is at."""
    stop = threading.Event()

    def help_out() -> None:
        while not stop.is_set() and take_range():
            pass

    with ThreadPoolExecutor(1) as threads:
        try:
            yield threads.submit(help_out)
        finally:
            stop.set()


def pause(helping: "Future[None]", seconds: float) -> None:
    """Until it is done, but no longer than that; the whole time if it is."""
    if helping.done():
        time.sleep(seconds)
    else:
        wait([helping], seconds)
