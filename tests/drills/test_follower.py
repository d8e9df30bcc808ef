"""examples/follower.py follows the feed while everything is killed, itself too, and ends with the right totals."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from examples.follower import totals
from tests.drills.breakable_servers import BreakableServers
from tests.drills.drill import PATIENCE, Size, run
from tests.drills.faults import Faults
from tests.drills.fleet import SEED, Fleet
from tests.drills.report import Report
from tests.support.waiting import NotReached, wait_until

pytestmark = pytest.mark.long

EVENTS = Size(short=600, full=8_000)
KILLS = Size(short=1, full=5)  # of each kind
OWN_KILLS = Size(short=4, full=20)


def follow(
    servers: BreakableServers,
    logs: Path,
    events: int,
    script: str = "examples/follower.py",
    patience: float = PATIENCE,
) -> Report:
    """The follower's totals are compared with the log as if a web server had answered them."""
    with Fleet(
        logs, database_url=servers.fresh_database(), broker_url=servers.broker.url, webs=2, follower=script
    ) as stack:
        faults = Faults(stack, servers, SEED)
        others = [faults.kill_web, faults.kill_web_process, faults.kill_worker, faults.crash_broker]
        plan = faults.mixed([*others, faults.crash_postgres] * int(KILLS) + [faults.kill_follower] * int(OWN_KILLS))
        file = logs / "follower.sqlite"

        def shows_everything() -> bool:
            with psycopg.connect(stack.database_url) as connection:
                (stored,) = connection.execute("SELECT count(*) FROM events").fetchone() or (0,)
            return shown(file, "SELECT sum(version) FROM orders") == [(stored,)]

        def settle() -> None:
            with suppress(NotReached):  # the totals tell what is missing
                wait_until(shows_everything, patience)

        report = run(
            "the follower",
            stack,
            events=events,
            faults=plan,
            counted=faults.count,
            patience=PATIENCE,
            settle=settle,
            also_answered=lambda: followed(file),
        )
    assert faults.count.total() == len(plan)
    return report


def shown(file: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as database, suppress(sqlite3.OperationalError):
        return database.execute(query).fetchall()
    return []


def followed(file: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(file)) as database:
        return [dict(totals(database))]


def test_a_follower_that_is_killed_with_everything_else(servers: BreakableServers, logs: Path) -> None:
    report = follow(servers, logs, int(EVENTS))

    assert report.passed, report
