"""A rebuild that does not run on a terminal says every two seconds how far it is."""

import pytest

from core.projection.rebuild_plan import Progress
from webapp.cli.progress import reporting


def test_a_line_every_two_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting("summary") as report:
        for seconds in (0.5, 1.9, 2.0, 3.9, 4.1):
            report(Progress(done=int(1000 * seconds), total=10_000, ranges_left=1, seconds=seconds))

    assert capsys.readouterr().out.splitlines() == [
        "summary: 2000 of 10000 events, 1,000 events/s, 8 s left",
        "summary: 4100 of 10000 events, 1,000 events/s, 6 s left",
    ]


def test_before_anything_is_done_nothing_is_said_of_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting("summary") as report:
        report(Progress(done=0, total=10, ranges_left=1, seconds=2.5))

    assert capsys.readouterr().out == "summary: 0 of 10 events, 0 events/s\n"
