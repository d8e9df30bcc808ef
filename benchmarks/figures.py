"""Runs taken in turns with the CPU seconds they cost, the ratio of each pair, and what the pairs say together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import NamedTuple, TypeVar

import psutil

from benchmarks.rows import Row

Result = TypeVar("Result")


class Run(NamedTuple):
    """One run of one side; `value` in the row's unit, `cpu_seconds` of all our processes and servers meanwhile."""

    value: float
    cpu_seconds: float


class Spread(NamedTuple):
    least: float
    greatest: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A row's runs. The n-th of ours and the n-th beside it were taken one after the other."""

    row: Row
    ours: Sequence[Run]
    beside: Sequence[Run] = ()

    @property
    def figures(self) -> list[float]:
        """One per pair, so that what slows the machine for a while slows both parts of it."""
        if not self.beside:
            return [run.value for run in self.ours]
        return [ours.value / beside.value for ours, beside in zip(self.ours, self.beside, strict=True)]

    @property
    def figure(self) -> float:
        return median(self.figures)

    @property
    def spread(self) -> Spread:
        return Spread(min(self.figures), max(self.figures))

    @property
    def reached(self) -> bool:
        return self.row.reached_by(self.figure)


def in_turns(ours: Callable[[], Result], beside: Callable[[], Result], pairs: int) -> tuple[list[Result], list[Result]]:
    """The results of A B A B …, by side."""
    taken = [(ours(), beside()) for _ in range(pairs)]
    return [pair[0] for pair in taken], [pair[1] for pair in taken]


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank: the smallest value that so many percent of all do not exceed."""
    return sorted(values)[max(ceil(len(values) * percent / 100), 1) - 1]


def median_value(runs: Sequence[Run]) -> float:
    return median(run.value for run in runs)


def median_cpu(runs: Sequence[Run]) -> float:
    return median(run.cpu_seconds for run in runs)


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
