"""Transactions are held open while later ones commit, and no hint is sent: catch-up alone finds every event."""

from pathlib import Path

import pytest

from tests.drills.breakable_servers import BreakableServers
from tests.drills.drill import PATIENCE, Size, run
from tests.drills.fleet import Fleet
from tests.drills.report import Report

pytestmark = pytest.mark.long

EVENTS = Size(short=400, full=3_000)


def hold_transactions_open(
    servers: BreakableServers, logs: Path, events: int, worker_app: str = "worker.app", patience: float = PATIENCE
) -> Report:
    with Fleet(
        logs,
        database_url=servers.fresh_database(),
        broker_url=servers.broker.url,
        web_app="tests.drills.factories:commits_late",
        worker_app=worker_app,
    ) as stack:
        return run("late commits", stack, events=events, patience=patience)


def test_late_commits(servers: BreakableServers, logs: Path) -> None:
    report = hold_transactions_open(servers, logs, int(EVENTS))

    assert report.passed, report
