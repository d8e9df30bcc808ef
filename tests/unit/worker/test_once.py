"""However many threads ask at the same time, one makes it and all get the same."""

import time
from concurrent.futures import ThreadPoolExecutor

from worker.once import Once

THREADS = 8


def test_threads_that_ask_at_once_get_the_same() -> None:
    @Once
    def thing() -> object:
        time.sleep(0.05)
        return object()

    assert thing.made is None
    with ThreadPoolExecutor(THREADS) as threads:
        got = [each.result() for each in [threads.submit(thing) for _ in range(THREADS)]]

    assert set(got) == {thing.made}
