"""Beat is stopped, or runs twice; the clocks of some processes are a minute off. Hints are lost meanwhile."""

from pathlib import Path

import pytest

from tests.drills.breakable_servers import BreakableServers
from tests.drills.drill import Size, run
from tests.drills.faults import Faults
from tests.drills.fleet import SEED, Fleet
from tests.support.make_run import ROOT

pytestmark = pytest.mark.long

EVENTS = Size(short=400, full=3_000)
FLUSHES = Size(short=1, full=5)


def test_beat_stopped(servers: BreakableServers, logs: Path) -> None:
    with Fleet(logs, database_url=servers.fresh_database(), broker_url=servers.broker.url) as stack:
        faults = Faults(stack, servers, SEED)
        plan = [faults.stop_beat, *[faults.flush_waiting_hints] * int(FLUSHES), faults.start_beat]
        report = run("Beat stopped", stack, events=int(EVENTS), faults=plan, counted=faults.count)

    assert report.passed, report


def test_two_beats(servers: BreakableServers, logs: Path) -> None:
    with Fleet(logs, database_url=servers.fresh_database(), broker_url=servers.broker.url, beats=2) as stack:
        faults = Faults(stack, servers, SEED)
        plan = [faults.flush_waiting_hints] * int(FLUSHES)
        report = run("two Beats", stack, events=int(EVENTS), faults=plan, counted=faults.count)

    assert report.passed, report


@pytest.mark.parametrize("seconds", [60, pytest.param(-60, marks=pytest.mark.full)])
def test_clocks_differ(servers: BreakableServers, logs: Path, seconds: int) -> None:
    skewed = {"PYTHONPATH": str(ROOT / "tests/drills/skewed"), "CLOCK_SKEW": str(seconds)}
    with Fleet(
        logs,
        database_url=servers.fresh_database(),
        broker_url=servers.broker.url,
        webs=2,
        environment={"web-1": skewed, "worker-0": skewed, "worker-1": skewed},
    ) as stack:
        faults = Faults(stack, servers, SEED)
        faults.count[f"clocks of the workers and of one web process {seconds:+} s"] = 1
        plan = [faults.flush_waiting_hints] * int(FLUSHES)
        report = run(f"clocks {seconds:+} s", stack, events=int(EVENTS), faults=plan, counted=faults.count)

    assert report.passed, report
