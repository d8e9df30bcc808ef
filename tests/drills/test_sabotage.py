"""With one mechanism switched off the same drills fail: what they find nothing of, they are able to find."""

from pathlib import Path

import pytest

from tests.drills.breakable_servers import BreakableServers
from tests.drills.drill import run
from tests.drills.faults import Faults
from tests.drills.fleet import SEED, Fleet
from tests.drills.test_deliveries import deliver_three_times
from tests.drills.test_follower import follow
from tests.drills.test_late_commits import hold_transactions_open

pytestmark = pytest.mark.long

PATIENCE = 6.0  # seconds; no sabotaged read model comes right by waiting
EVENTS = 300  # whatever the size of the drills: one finding is enough
DELIVERIES = 1_500


@pytest.mark.full  # the short form is in test_state_machine.py
def test_without_version_guard(servers: BreakableServers, logs: Path) -> None:
    report = deliver_three_times(servers, logs, DELIVERIES, "tests.drills.sabotage.no_version_guard", PATIENCE)

    assert report.findings.duplicated
    assert report.findings.differences
    assert not report.findings.lost
    assert not report.passed


@pytest.mark.full  # the same
def test_without_checkpoint_horizon(servers: BreakableServers, logs: Path) -> None:
    report = hold_transactions_open(servers, logs, EVENTS, "tests.drills.sabotage.position_checkpoint", PATIENCE)

    assert report.findings.differences
    assert report.seconds is None
    assert not report.passed


def test_without_catch_up(servers: BreakableServers, logs: Path) -> None:
    with Fleet(
        logs,
        database_url=servers.fresh_database(),
        broker_url=servers.broker.url,
        worker_app="tests.drills.sabotage.no_catch_up",
    ) as stack:
        faults = Faults(stack, servers, SEED)
        plan = [faults.flush_waiting_hints] * 2
        report = run("FLUSHALL", stack, events=EVENTS, faults=plan, counted=faults.count, patience=PATIENCE)

    assert report.findings.differences
    assert report.seconds is None
    assert not report.passed


def test_with_the_answer_before_the_commit(servers: BreakableServers, logs: Path) -> None:
    with Fleet(
        logs,
        database_url=servers.fresh_database(),
        broker_url=servers.broker.url,
        web_app="tests.drills.sabotage.answers_before_commit:create_app",
    ) as stack:
        faults = Faults(stack, servers, SEED)
        plan = [faults.kill_web_process] * 3
        report = run("killed web", stack, events=EVENTS, faults=plan, counted=faults.count, patience=PATIENCE)

    assert report.findings.lost
    assert not report.passed


@pytest.mark.full  # the same
def test_with_new_orders_uncounted(servers: BreakableServers, logs: Path) -> None:
    with Fleet(
        logs,
        database_url=servers.fresh_database(),
        broker_url=servers.broker.url,
        worker_app="tests.drills.sabotage.no_sums",
    ) as stack:
        report = run("new orders uncounted", stack, events=EVENTS)

    assert {kind for kind, found in report.findings.by_kind.items() if found} == {"wrong statistics"}
    assert any("answered to a client: total_count is 0" in each for each in report.findings.statistics)
    assert not report.passed


@pytest.mark.full  # the same
def test_with_snapshots_that_forget(servers: BreakableServers, logs: Path) -> None:
    with Fleet(
        logs,
        database_url=servers.fresh_database(),
        broker_url=servers.broker.url,
        web_app="tests.drills.sabotage.forgetful_snapshots:create_app",
    ) as stack:
        report = run("forgetful snapshots", stack, events=EVENTS)

    assert {kind for kind, found in report.findings.by_kind.items() if found} == {"wrong snapshots"}
    assert not report.passed


def test_with_the_follower_s_cursor_before_its_rows(servers: BreakableServers, logs: Path) -> None:
    report = follow(servers, logs, EVENTS, "tests/drills/sabotage/cursor_before_rows.py", PATIENCE)

    assert {kind for kind, found in report.findings.by_kind.items() if found} == {"wrong statistics"}
    assert any("answered to a client: total_count is " in each for each in report.findings.statistics)
    assert not report.passed
