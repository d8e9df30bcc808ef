"""`kill -9` of worker processes, main ones and their pools, under load."""

from pathlib import Path

import pytest

from tests.drills.breakable_servers import BreakableServers
from tests.drills.drill import Size, run
from tests.drills.faults import Faults
from tests.drills.fleet import SEED, Fleet

pytestmark = pytest.mark.long

EVENTS = Size(short=1000, full=20_000)
KILLS = Size(short=6, full=60)


def test_killed_workers(servers: BreakableServers, logs: Path) -> None:
    with Fleet(logs, database_url=servers.fresh_database(), broker_url=servers.broker.url) as stack:
        faults = Faults(stack, servers, SEED)
        pattern = [faults.kill_pool_child, faults.kill_pool_child, faults.kill_worker]
        kills = [pattern[number % 3] for number in range(int(KILLS))]
        report = run("killed workers", stack, events=int(EVENTS), faults=kills, counted=faults.count)

    assert faults.count.total() >= int(KILLS)
    assert report.acknowledged >= int(EVENTS)
    assert report.passed, report
