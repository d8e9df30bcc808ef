"""What the samples say: whether anything grew that should not, and the table of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.figures import percentile
from benchmarks.report import number
from benchmarks.soak.samples import Sample

# A program is flat if it grew by less than either, from the second fifth of the time to the last.
GROWTH, MEGABYTES, FILES = 0.05, 5.0, 10
MOST_SECONDS_BEHIND = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Medians of the second fifth and of the last; the first fifth is for warming up."""

    what: str
    before: float
    after: float
    hours: float  # between the two

    @property
    def per_hour(self) -> float:
        return (self.after - self.before) / self.hours

    def is_flat(self, least: float) -> bool:
        return self.after - self.before < max(least, self.before * GROWTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the whole soak found out; `load` is what its load has printed."""

    samples: Sequence[Sample]
    load: Mapping[str, Any]
    differences: int
    events_lost: int

    @property
    def memory(self) -> list[Growth]:
        return [_growth(self.samples, part, _memory_of(part)) for part in self.samples[-1].memory]

    @property
    def files(self) -> list[Growth]:
        return [_growth(self.samples, part, _files_of(part)) for part in self.samples[-1].files]

    @property
    def faults(self) -> list[str]:
        return [*self._grown(), *self._wrong()]

    def _grown(self) -> Iterator[str]:
        yield from (f"the memory of {each.what} grew" for each in self.memory if not each.is_flat(MEGABYTES))
        yield from (f"the open files of {each.what} grew" for each in self.files if not each.is_flat(FILES))
        connections = _growth(self.samples, "connections", lambda sample: sample.connections)
        if not connections.is_flat(FILES):
            yield "the connections to PostgreSQL grew"

    def _wrong(self) -> Iterator[str]:
        if self.load["errors"]:
            yield f"{self.load['errors']} requests failed, such as {self.load['first_errors'][0]}"
        if self.differences:
            yield f"{self.differences} differences between events and read models"
        if self.events_lost:
            yield f"{self.events_lost} acknowledged events are not in the log"
        most = max(sample.seconds_behind for sample in self.samples)
        if most >= MOST_SECONDS_BEHIND:
            yield f"the read side was {most:.1f} s behind"


def as_markdown(found: Found, settings: Mapping[str, str]) -> str:
    lines = ["| program | MB before | MB after | MB per hour | files before | after |", "|---|---|---|---|---|---|"]
    for memory, files in zip(found.memory, found.files, strict=True):
        cells = [number(memory.before), number(memory.after), f"{memory.per_hour:+.1f}"]
        lines.append(f"| {memory.what} | {' | '.join(cells)} | {files.before:.0f} | {files.after:.0f} |")
    lines += ["", "Medians of the second fifth and of the last.", "", "| | p50 | p99 | most |", "|---|---|---|---|"]
    for what, values in _lags(found.samples).items():
        lines.append(f"| {what} | {' | '.join(number(percentile(values, each)) for each in (50, 99, 100))} |")
    load = found.load
    lines.append(
        f"| milliseconds per request | {' | '.join(number(load[f'{each}_ms']) for each in ('p50', 'p99', 'max'))} |"
    )
    lines += ["", f"{load['requests']:,} requests, {load['events']:,} events, {load['errors']} errors."]
    lines += [f"{found.differences} differences, {found.events_lost} events lost.", ""]
    lines += [f"- {name}: {value}" for name, value in settings.items()]
    lines += ["", "Flat." if not found.faults else f"NOT FLAT: {'; '.join(found.faults)}."]
    return "\n".join(lines) + "\n"


def _lags(samples: Sequence[Sample]) -> dict[str, list[float]]:
    return {
        "seconds behind": [sample.seconds_behind for sample in samples],
        "events behind": [sample.events_behind for sample in samples],
        "tasks queued": [sample.queued for sample in samples],
        "connections": [sample.connections for sample in samples],
    }


def _memory_of(part: str) -> Callable[[Sample], float]:
    return lambda sample: sample.memory[part]


def _files_of(part: str) -> Callable[[Sample], float]:
    return lambda sample: sample.files[part]


def _growth(samples: Sequence[Sample], what: str, value: Callable[[Sample], float]) -> Growth:
    fifth = max(1, len(samples) // 5)
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]
    return Growth(
        what=what,
        before=median(map(value, early)),
        after=median(map(value, late)),
        hours=(late[-1].at - early[-1].at) / 3600,
    )
