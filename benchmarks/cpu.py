"""CPU seconds of this process and of all that it has started; what others do on the machine does not count."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

from benchmarks.figures import Run


class CpuClock:
    seconds = 0.0


@contextmanager
def cpu_clock() -> Iterator[CpuClock]:
    """Its `seconds` are those of the block, once it has ended."""
    clock, before = CpuClock(), _used()
    yield clock
    clock.seconds = _used() - before


def with_cpu(measure: Callable[[], float]) -> Run:
    """What it returns, and the CPU seconds that went by."""
    with cpu_clock() as clock:
        value = measure()
    return Run(value, clock.seconds)


def _used() -> float:
    """Children that have ended count with whoever waited for them."""
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])  # user, system, and both of ended children
    return total
