"""`kill -9` of all of PostgreSQL, which recovers from its log, and a PostgreSQL that stands still."""

from pathlib import Path

import pytest

from tests.drills.breakable_servers import BreakableServers
from tests.drills.drill import Size, run
from tests.drills.faults import Faults
from tests.drills.fleet import SEED, Fleet

pytestmark = pytest.mark.long

EVENTS = Size(short=600, full=8_000)
CRASHES = Size(short=2, full=10)
PAUSES = Size(short=1, full=2)


def test_crashed_postgresql(servers: BreakableServers, logs: Path) -> None:
    with Fleet(logs, database_url=servers.fresh_database(), broker_url=servers.broker.url, webs=2) as stack:
        faults = Faults(stack, servers, SEED)
        plan = faults.mixed([faults.crash_postgres] * int(CRASHES) + [faults.pause_postgres] * int(PAUSES))
        report = run("crashed PostgreSQL", stack, events=int(EVENTS), faults=plan, counted=faults.count)

    assert faults.count.total() == len(plan)
    assert report.passed, report
