"""`flask rebuild` in one process and in several: killed at any moment, run again, and right in the end."""

import psutil
import pytest
from flask import Flask
from sqlalchemy.orm import Session, sessionmaker

from core.read_models.wiring import PROJECTORS
from tests.support.read_side import run, value
from tests.support.rebuilding import (
    WAIT_FOR_HELPERS,
    assert_equal_to_events,
    build_gate,
    clients_at_gate,
    closed,
    fill,
    helpers,
    note_ranges,
    ranges_done,
    ranges_left_behind,
    rebuild,
    rebuilding,
)
from tests.support.waiting import wait_for_lock, wait_until

ORDERS = 5000  # four ranges
RANGES = 4

BEFORE_WRITE = "BEFORE INSERT OR UPDATE OR DELETE ON"
AT_CLAIM = "BEFORE UPDATE ON rebuild_ranges FOR EACH ROW"
CLAIM = f"TRIGGER claim {AT_CLAIM}"
MOMENTS = {
    "before_a_claim": "TRIGGER before_claim BEFORE UPDATE ON rebuild_ranges FOR EACH STATEMENT",
    "at_a_claim": CLAIM,
    "at_a_summary": f"TRIGGER summary {BEFORE_WRITE} order_summary_read_models FOR EACH STATEMENT",
    "at_details": f"TRIGGER details {BEFORE_WRITE} order_details_read_models FOR EACH STATEMENT",
    "at_items": f"TRIGGER items {BEFORE_WRITE} order_item_read_models FOR EACH STATEMENT",
    "at_the_commit": (
        "CONSTRAINT TRIGGER at_commit AFTER UPDATE ON rebuild_ranges DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    ),
}

Sessions = sessionmaker[Session]


@pytest.fixture
def sessions(app: Flask, sessions: Sessions) -> Sessions:
    """Of a database with many orders, that processes started by the test use."""
    fill(sessions, ORDERS)
    return sessions


@pytest.mark.timeout(300)  # eight processes start, one after the other
def test_killed_at_any_moment_it_does_no_harm_and_is_run_to_the_end(sessions: Sessions) -> None:
    assert rebuild()[0] == 0
    run(sessions, "UPDATE order_summary_read_models SET customer_name = 'wrong'", "DELETE FROM order_item_read_models")
    run(sessions, "UPDATE order_details_read_models SET customer_name = 'wrong'")

    for moment, trigger in MOMENTS.items():
        build_gate(sessions, trigger, moment)
        with rebuilding("--jobs", "1") as process, closed(sessions, moment):
            wait_for_lock(sessions)
            process.kill()
            process.wait()
            assert value(sessions, "SELECT count(*) FROM order_summary_read_models") == ORDERS
            assert value(sessions, "SELECT count(*) FROM order_details_read_models") == ORDERS
    assert ranges_left_behind(sessions) > 0

    assert rebuild()[0] == 0
    assert_equal_to_events(sessions)
    assert ranges_left_behind(sessions) == 0


def test_jobs_are_so_many_processes(sessions: Sessions) -> None:
    note_ranges(sessions, WAIT_FOR_HELPERS.format(helpers=3))

    status, said = rebuild("--jobs", "3")

    assert status == 0
    assert f"{', '.join(PROJECTORS)}: {4 * ORDERS} events in" in said
    assert len(helpers(sessions)) == 3
    assert_equal_to_events(sessions)


def test_what_a_killed_job_leaves_is_done_by_others(sessions: Sessions) -> None:
    """Its range is free again only when PostgreSQL has noticed, long after all others are done."""
    note_ranges(sessions)
    for number in (0, 1):
        build_gate(sessions, f"TRIGGER claim_{number} {AT_CLAIM} WHEN (NEW.number = {number})", f"range_{number}")

    with rebuilding("--jobs", "2") as process:
        with closed(sessions, "range_1"):
            with closed(sessions, "range_0"):
                wait_for_lock(sessions, 2)
                [job] = [client for client in clients_at_gate(sessions) if client.pid != process.pid]
                job.kill()
            wait_until(lambda: ranges_done(sessions) == RANGES - 1)
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 0, said
    assert_equal_to_events(sessions)
    assert ranges_done(sessions) == RANGES


def test_jobs_end_soon_after_the_command_is_killed(sessions: Sessions) -> None:
    build_gate(sessions, CLAIM)

    with rebuilding("--jobs", "2") as process:
        with closed(sessions):
            wait_for_lock(sessions, 2)
            jobs = psutil.Process(process.pid).children()
            process.kill()
            process.wait()
        assert not psutil.wait_procs(jobs, timeout=30)[1]

    assert value(sessions, "SELECT count(*) FROM rebuild_ranges WHERE NOT done") > 0
