"""`flask rebuild` in one process and in several: killed at any moment, run again, and right in the end."""

import random
import time

import psutil
import pytest
from flask import Flask
from sqlalchemy.orm import Session, sessionmaker

from tests.support.read_side import run, value
from tests.support.rebuilding import (
    WAIT_FOR_HELPERS,
    assert_equal_to_events,
    fill,
    helpers,
    note_ranges,
    ranges_left_behind,
    rebuild,
    rebuilding,
)
from tests.support.waiting import wait_until

ORDERS = 5000  # four ranges
RANGES = 4
KILLS = 5

Sessions = sessionmaker[Session]


@pytest.fixture
def sessions(app: Flask, sessions: Sessions) -> Sessions:
    """Of a database with many orders, that processes started by the test use."""
    fill(sessions, ORDERS)
    return sessions


def test_killed_at_random_moments_it_does_no_harm_and_is_run_to_the_end(sessions: Sessions) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    assert rebuild()[0] == 0
    run(sessions, "UPDATE order_summary_read_models SET customer_name = 'wrong'", "DELETE FROM order_item_read_models")
    note_ranges(sessions, "PERFORM pg_sleep(0.1);")

    for _ in range(KILLS):
        with rebuilding() as process:
            wait_until(lambda: claims(sessions) >= 1, 60)
            time.sleep(dice.uniform(0, 0.5))
            process.kill()
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
    assert f"summary, details: {4 * ORDERS} events in" in said
    assert len(helpers(sessions)) == 3
    assert_equal_to_events(sessions)


def test_what_a_killed_job_leaves_is_done_by_others(sessions: Sessions) -> None:
    """Its range is free again only when PostgreSQL has noticed, long after all others are done."""
    note_ranges(sessions, "IF NEW.number = 0 THEN PERFORM pg_sleep(3); END IF;")

    with rebuilding("--jobs", "2") as process:
        wait_until(lambda: claims(sessions) == 1, 60)
        client_of_first_claim(sessions).kill()
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 0, said
    assert_equal_to_events(sessions)
    assert value(sessions, "SELECT count(*) FROM ranges_done") == RANGES


def test_jobs_end_soon_after_the_command_is_killed(sessions: Sessions) -> None:
    note_ranges(sessions, "PERFORM pg_sleep(0.5);")

    with rebuilding("--jobs", "2") as process:
        wait_until(lambda: claims(sessions) > 0, 60)
        jobs = psutil.Process(process.pid).children()
        process.kill()

    assert not psutil.wait_procs(jobs, timeout=30)[1]
    assert value(sessions, "SELECT count(*) FROM rebuild_ranges WHERE NOT done") > 0


def claims(sessions: Sessions) -> int:
    """How many ranges are held at the pause right after their claim."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    return int(value(sessions, query))


def client_of_first_claim(sessions: Sessions) -> psutil.Process:
    """The process whose backend pauses."""
    query = "SELECT client_port FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    port = value(sessions, query)
    [pid] = [each.pid for each in psutil.net_connections("tcp4") if each.laddr and each.laddr.port == port and each.pid]
    return psutil.Process(pid)
