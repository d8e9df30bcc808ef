"""How far a rebuild, an export or an import is: a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from core.projection.rebuild_plan import Progress
from webapp.cli.common import echo

SECONDS_BETWEEN_LINES = 2.0

Report = Callable[[Progress], None]


@contextmanager
def reporting(name: str, *, err: bool = False) -> Iterator[Report]:
    """What to call with each Progress while the block runs."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty():
        yield _lines(name, err)
        return
    rate = ""
    with click.progressbar(range(0), label=name, show_pos=True, item_show_func=lambda _: rate, file=stream) as bar:

        def report(progress: Progress) -> None:
            nonlocal rate
            rate = f"{progress.rate:,.0f} events/s"
            bar.length = progress.total
            bar.update(progress.done - bar.pos)

        yield report


@contextmanager
def counting(name: str) -> Iterator[Callable[[int, int], None]]:
    """On stderr; what to call with the events that are done and their number, or 0 if nobody knows it."""
    started = time.monotonic()
    with reporting(name, err=True) as report:
        yield lambda done, total: report(Progress(done, max(done, total), 0, time.monotonic() - started))


def _lines(name: str, err: bool) -> Report:
    said = 0.0

    def report(progress: Progress) -> None:
        nonlocal said
        if progress.seconds - said < SECONDS_BETWEEN_LINES:
            return
        said = progress.seconds
        left = f", {(progress.total - progress.done) / progress.rate:.0f} s left" if progress.rate else ""
        echo(f"{name}: {progress.done} of {progress.total} events, {progress.rate:,.0f} events/s{left}", err=err)

    return report
