"""Two web servers and four workers on one database and one broker; one of each is killed under load."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.drills.breakable_servers import BreakableServers
from tests.drills.drill import Size, run
from tests.drills.faults import Faults
from tests.drills.fleet import SEED, Fleet
from tests.support.make_run import ROOT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.long

EVENTS = Size(short=600, full=8_000)
KILLS = Size(short=1, full=4)  # of each kind
PATHS = ("/orders?limit=200", "/orders/statistics", "/orders/status/shipped?limit=200")


def rebuild(stack: Fleet, broker_url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": stack.service_url, "BROKER_URL": broker_url}
    command = [sys.executable, "-m", "flask", "rebuild", "--jobs", "2"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_web_servers_and_four_workers(servers: BreakableServers, logs: Path) -> None:
    """Then the read models are made again."""
    with Fleet(logs, database_url=servers.fresh_database(), broker_url=servers.broker.url, webs=2, workers=4) as stack:
        faults = Faults(stack, servers, SEED)
        plan = faults.mixed([faults.kill_web, faults.kill_worker] * int(KILLS))
        report = run("two webs, four workers", stack, events=int(EVENTS), faults=plan, counted=faults.count)
        wait_until(lambda: len(stack.answers("/orders")) == len(stack.ports), 30)
        before = [stack.answers(path) for path in PATHS]
        rebuild(stack, servers.broker.url)
        after = [stack.answers(path) for path in PATHS]

    assert faults.count.total() == len(plan)
    assert report.passed, report
    assert all(one == other for one, other in before)
    assert before == after
