"""A rebuild streams: what it needs does not grow with the log."""

import subprocess
import sys

from flask import Flask
from sqlalchemy.orm import Session, sessionmaker

from tests.support.make_run import ROOT
from tests.support.read_side import value
from tests.support.rebuilding import fill

# A process of its own starts it, as what a process has needed counts for those that it starts too. In kilobytes.
MEASURE = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "flask", "rebuild"], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def peak_megabytes() -> float:
    """Of the memory of a `flask rebuild` process."""
    measured = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return float(measured.stdout)


def test_ten_times_the_events_need_hardly_more_memory(app: Flask, sessions: sessionmaker[Session]) -> None:
    fill(sessions, 2_500)
    few = peak_megabytes()  # for 10,000 events
    fill(sessions, 22_500, after=2_500)
    many = peak_megabytes()  # for 100,000; all at once they would take 120 more

    print(f"{few:.0f} MB, then {many:.0f} MB")
    assert many < few + 20
    assert many < 200
    assert value(sessions, "SELECT count(*) FROM order_item_read_models") == 50_000
