"""How far a rebuild is: a bar on a terminal, a line every few seconds elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from core.projection.rebuild_plan import Progress
from webapp.cli.common import echo

SECONDS_BETWEEN_LINES = 2.0

Report = Callable[[Progress], None]


@contextmanager
def reporting(name: str) -> Iterator[Report]:
    """What to call with each Progress while the block runs."""
    if not sys.stdout.isatty():
        yield _lines(name)
        return
    rate = ""
    with click.progressbar(range(0), label=name, show_pos=True, item_show_func=lambda _: rate) as bar:

        def report(progress: Progress) -> None:
            nonlocal rate
            rate = f"{progress.rate:,.0f} events/s"
            bar.length = progress.total
            bar.update(progress.done - bar.pos)

        yield report


def _lines(name: str) -> Report:
    said = 0.0

    def report(progress: Progress) -> None:
        nonlocal said
        if progress.seconds - said < SECONDS_BETWEEN_LINES:
            return
        said = progress.seconds
        left = f", {(progress.total - progress.done) / progress.rate:.0f} s left" if progress.rate else ""
        echo(f"{name}: {progress.done} of {progress.total} events, {progress.rate:,.0f} events/s{left}")

    return report
