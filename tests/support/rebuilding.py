"""Given many orders; then `flask rebuild` as a process, and what helps it watched range by range."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.streams import IdRange
from core.projection.verify import verify, verify_sums
from core.read_models.wiring import PROJECTORS, SUMS
from tests.support.make_run import ROOT
from tests.support.read_side import run, value

Sessions = sessionmaker[Session]

# Every order is placed, gets two items and is confirmed.
FILL = text("""
    INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
    SELECT order_id, 'Order', version,
           (ARRAY['OrderPlaced', 'OrderItemAdded', 'OrderItemAdded', 'OrderConfirmed'])[version],
           jsonb_build_object('order_id', order_id) || (ARRAY[
               '{"customer_name": "山田太郎", "total_amount": "83000.00", "placed_at": "2026-01-01T12:00:00+00:00"}',
               '{"product_name": "ノートPC", "quantity": 1, "unit_price": "80000.00",
                 "added_at": "2026-01-01T12:01:00+00:00"}',
               '{"product_name": "マウス", "quantity": 2, "unit_price": "1500.00",
                 "added_at": "2026-01-01T12:02:00+00:00"}',
               '{"confirmed_at": "2026-01-01T12:03:00+00:00"}'
           ]::jsonb[])[version],
           '{"schema_version": 1}', now()
    FROM generate_series(CAST(:after AS integer) + 1, CAST(:after + :orders AS integer)) AS n,
         generate_series(1, 4) AS version,
         CAST('ORDER-' || lpad(n::text, 7, '0') AS text) AS order_id
""")

# Whoever claims a range is noted when it is done; `pause` is SQL that runs right after the claim.
NOTE_RANGES = """
    CREATE TABLE ranges_done (number integer, backend integer, port integer);
    CREATE FUNCTION note_range() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {pause}
        INSERT INTO ranges_done VALUES (NEW.number, pg_backend_pid(), inet_client_port());
        RETURN NEW;
    END
    $$;
    CREATE TRIGGER note_range BEFORE UPDATE ON rebuild_ranges FOR EACH ROW EXECUTE FUNCTION note_range()
"""

# The first ranges wait until so many have one, or have done one.
WAIT_FOR_HELPERS = """
    IF NEW.number < {helpers} THEN
        PERFORM pg_advisory_xact_lock_shared(4711);
        FOR attempt IN 1..600 LOOP
            EXIT WHEN (SELECT count(*) FROM (
                SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711
                UNION SELECT backend FROM ranges_done
            ) AS helping) >= {helpers};
            PERFORM pg_sleep(0.05);
        END LOOP;
    END IF;
"""


WAIT_AT_GATE = """
    CREATE OR REPLACE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE format('LOCK TABLE %I IN ROW SHARE MODE', TG_ARGV[0]);
        RETURN NEW;
    END
    $$
"""


def fill(sessions: Sessions, orders: int, after: int = 0) -> None:
    """So many orders, ORDER-0000001 and on, with four events each; nothing is projected."""
    with sessions.begin() as session:
        session.execute(FILL, {"orders": orders, "after": after})


def note_ranges(sessions: Sessions, pause: str = "") -> None:
    run(sessions, NOTE_RANGES.format(pause=pause).replace(":", r"\:"))


def build_gate(sessions: Sessions, trigger: str, name: str = "gate") -> None:
    """Where this trigger fires; an open gate stops nobody."""
    run(
        sessions,
        WAIT_AT_GATE,
        f"CREATE TABLE {name} ()",
        f"CREATE {trigger} EXECUTE FUNCTION wait_at_gate('{name}')",
    )


@contextmanager
def closed(sessions: Sessions, name: str = "gate") -> Iterator[None]:
    """Whoever comes to the gate waits there until the block ends."""
    with sessions.begin() as session:
        session.execute(text(f"LOCK TABLE {name} IN EXCLUSIVE MODE"))
        yield


def clients_at_gate(sessions: Sessions) -> list[psutil.Process]:
    """The processes whose transactions wait there."""
    query = """SELECT coalesce(array_agg(client_port), '{}') FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    ports, server = value(sessions, query), value(sessions, "SELECT inet_server_port()")
    return [  # others may have the same port towards other servers
        psutil.Process(each.pid)
        for each in psutil.net_connections("tcp4")
        if each.pid and each.laddr and each.laddr.port in ports and each.raddr and each.raddr.port == server
    ]


def ranges_done(sessions: Sessions) -> int:
    """Of those that are noted."""
    return int(value(sessions, "SELECT count(*) FROM ranges_done"))


def helpers(sessions: Sessions) -> set[int]:
    """The backends, of as many processes, that have done a range."""
    with sessions.begin() as session:
        return set(session.execute(text("SELECT DISTINCT backend FROM ranges_done")).scalars())


def assert_equal_to_events(sessions: Sessions) -> None:
    found = verify(sessions, PROJECTORS, IdRange())
    orders = value(sessions, "SELECT count(DISTINCT aggregate_id) FROM events")
    assert (found.differences, found.broken, found.behind) == ([], [], 0)
    assert found.rows == orders * len(PROJECTORS)
    assert verify_sums(sessions, SUMS) == []


def ranges_left_behind(sessions: Sessions) -> int:
    return int(value(sessions, "SELECT count(*) FROM rebuild_ranges"))


@contextmanager
def rebuilding(*arguments: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """`flask rebuild` as a process of its own on the test's database; killed if it is still there in the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "rebuild", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        yield process
        process.kill()


def rebuild(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit status of `flask rebuild` and what it says."""
    with rebuilding(*arguments, **environment) as process:
        output, _ = process.communicate(timeout=100)
    return process.returncode, output
