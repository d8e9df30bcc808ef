"""Every hint is delivered three times, in random order, to four workers; nothing else projects."""

from pathlib import Path

import pytest

from tests.drills.breakable_servers import BreakableServers
from tests.drills.deliveries import TIMES, Deliveries, tasks_done
from tests.drills.drill import PATIENCE, Size, run
from tests.drills.fleet import SEED, Fleet
from tests.drills.journal import Journal
from tests.drills.report import Report
from tests.support.waiting import wait_until

pytestmark = pytest.mark.long

DELIVERIES = Size(short=1_500, full=20_001)
WORKERS = 4


def deliver_three_times(
    servers: BreakableServers, logs: Path, number: int, worker_app: str = "worker.app", patience: float = PATIENCE
) -> Report:
    database_url, journal = servers.fresh_database(), Journal()
    with Fleet(
        logs,
        database_url=database_url,
        broker_url=servers.broker.url,
        workers=WORKERS,
        beats=0,
        web_app="tests.drills.factories:sends_no_hints",
        worker_app=worker_app,
    ) as stack:
        deliveries = Deliveries(servers.broker, journal, SEED)
        report = run(
            "every hint three times",
            stack,
            events=number // TIMES,
            journal=journal,
            patience=patience,
            alongside=deliveries,
            settle=lambda: wait_until(lambda: tasks_done(servers.broker.url, WORKERS) >= deliveries.sent, 60),
        )
    print(f"  {'deliveries':28}{deliveries.sent:>12}")
    assert deliveries.sent == TIMES * report.acknowledged >= number
    return report


def test_every_hint_three_times(servers: BreakableServers, logs: Path) -> None:
    report = deliver_three_times(servers, logs, int(DELIVERIES))

    assert report.passed, report
