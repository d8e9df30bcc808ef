"""`kill -9` of web processes: between the commit and the hint, and at random."""

from functools import partial
from pathlib import Path

import pytest

from tests.drills.breakable_servers import BreakableServers
from tests.drills.drill import Size, run
from tests.drills.faults import Faults
from tests.drills.fleet import SEED, Fleet

pytestmark = pytest.mark.long

EVENTS = Size(short=600, full=6_000)
OWN_DEATHS = Size(short=2, full=15)
KILLS = Size(short=3, full=15)


def test_killed_web_processes(servers: BreakableServers, logs: Path) -> None:
    record = logs / "deaths"
    dying = {"DIE_ONE_IN": str(int(EVENTS) / int(OWN_DEATHS) / 2), "DEATHS": str(record)}
    with Fleet(
        logs,
        database_url=servers.fresh_database(),
        broker_url=servers.broker.url,
        webs=2,
        web_app="tests.drills.factories:dies_before_enqueue",
        environment={"web-0": dying, "web-1": dying},
    ) as stack:
        faults = Faults(stack, servers, SEED)
        kills = [faults.kill_web if number % 5 == 2 else faults.kill_web_process for number in range(int(KILLS))]
        last = partial(faults.wait_for_own_deaths, record, int(OWN_DEATHS))
        report = run("killed web processes", stack, events=int(EVENTS), faults=[*kills, last], counted=faults.count)

    assert faults.count.total() >= int(KILLS) + int(OWN_DEATHS)
    assert report.passed, report
