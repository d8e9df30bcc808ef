"""What goes on in other threads while a test looks."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def meanwhile(stop: threading.Event, *loops: Callable[[], None]) -> Iterator[None]:
    """Each in a thread of its own, until the block ends. Raises what they raise."""
    with ThreadPoolExecutor(len(loops)) as threads:
        running: list[Future[None]] = [threads.submit(loop) for loop in loops]
        try:
            yield
        finally:
            stop.set()
        for each in running:
            each.result()
