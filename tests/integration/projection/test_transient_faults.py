"""Faults that will pass are never held against an order: they are raised, and the next run goes on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg.errors import DeadlockDetected
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from core.projection import writer
from core.projection.catch_up import BATCH, catch_up
from core.read_models.wiring import PROJECTORS
from core.safe_errors import is_transient
from tests.support.examples import LAPTOP_ADDED
from tests.support.failing import AT_ONCE
from tests.support.read_side import append_placed, checkpoint, place_many, project_all, run, shown, value
from tests.support.streams import append
from tests.support.waiting import wait_for_lock

SUMMARY = PROJECTORS["summary"]

Disturb = Callable[[Connection[Any]], object]


@pytest.fixture
def disturb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Disturb | None], None]:
    """Something happens to every projection's transaction before it writes, until told that nothing does."""
    really_save = writer.save

    def choose(act: Disturb | None) -> None:
        def save(connection: Connection[Any], *args: Any) -> Any:
            if act is not None:
                act(connection)
            return really_save(connection, *args)

        monkeypatch.setattr(writer, "save", save)

    return choose


def failures(sessions: sessionmaker[Session]) -> int:
    return int(value(sessions, "SELECT count(*) FROM projection_failures"))


def assert_transient(sessions: sessionmaker[Session], disturb: Callable[[Disturb | None], None], act: Disturb) -> None:
    """The run raises and holds nothing against anybody; the next one shows everything."""
    disturb(act)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - is_transient is what is asserted of it
        catch_up(sessions, "summary", SUMMARY, AT_ONCE)
    assert is_transient(caught.value), caught.value
    assert (shown(sessions), failures(sessions), checkpoint(sessions)) == ({}, 0, 0)
    disturb(None)
    catch_up(sessions, "summary", SUMMARY, AT_ONCE)
    assert len(shown(sessions)) == value(sessions, "SELECT count(DISTINCT aggregate_id) FROM events")


def end_own_backend(connection: Connection[Any]) -> None:
    """As when PostgreSQL goes away: the connection is found dead by the next statement."""
    with psycopg.connect(connection.info.dsn, password=connection.info.password, autocommit=True) as other:
        ended = other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid]).fetchone()
    assert ended == (True,)


def take_no_writes(connection: Connection[Any]) -> None:
    connection.execute("SET TRANSACTION READ ONLY")


def complain(connection: Connection[Any]) -> None:
    connection.execute(COMPLAIN.format("40001"))


@pytest.mark.parametrize("orders", [3, 30], ids=["before an INSERT", "before a COPY"])
@pytest.mark.parametrize("act", [end_own_backend, take_no_writes, complain])
def test_a_fault_of_the_database_during_a_projection(
    sessions: sessionmaker[Session], disturb: Callable[[Disturb | None], None], act: Disturb, orders: int
) -> None:
    place_many(sessions, orders)

    assert_transient(sessions, disturb, act)


COMPLAIN = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{}'; END $$"

SQLSTATES = {
    "40001": True,  # serialization_failure
    "40P01": True,  # deadlock_detected
    "55P03": True,  # lock_not_available
    "57014": True,  # query_canceled
    "57P03": True,  # cannot_connect_now
    "53100": True,  # disk_full
    "25006": True,  # read_only_sql_transaction
    "42501": True,  # insufficient_privilege
    "42703": True,  # undefined_column
    "XX000": True,  # internal_error
    "22003": False,  # numeric_value_out_of_range
    "23502": False,  # not_null_violation
    "23514": False,  # check_violation
    "42804": False,  # datatype_mismatch
    "42846": False,  # cannot_coerce
    "42883": False,  # undefined_function
    "54000": False,  # program_limit_exceeded, as of an index whose row is too large
    "P0001": False,  # raise_exception, as by a trigger
}


def test_what_the_database_says_decides(sessions: sessionmaker[Session]) -> None:
    assert {sqlstate: is_transient(complaint(sessions, sqlstate)) for sqlstate in SQLSTATES} == SQLSTATES


def complaint(sessions: sessionmaker[Session], sqlstate: str) -> Exception:
    """The error that a transaction gets from the database."""
    with pytest.raises(DBAPIError) as caught:
        run(sessions, COMPLAIN.format(sqlstate))
    return caught.value


def test_a_deadlock(sessions: sessionmaker[Session]) -> None:
    order_ids = ["ORDER-001", "ORDER-002"]
    append_placed(sessions, *order_ids)
    project_all(sessions, *order_ids)
    for order_id in order_ids:
        append(sessions, [LAPTOP_ADDED], order_id=order_id, after=1)
    lock = "SELECT FROM order_summary_read_models WHERE order_id = '{}' FOR UPDATE"
    with sessions() as other, ThreadPoolExecutor(1) as threads:
        other.execute(text("SET LOCAL deadlock_timeout = '60s'"))  # so that the projection is the one to be ended
        other.execute(text(lock.format("ORDER-002")))
        projecting = threads.submit(catch_up, sessions, "summary", SUMMARY, AT_ONCE)
        wait_for_lock(sessions)
        other.execute(text(lock.format("ORDER-001")))

        with pytest.raises(DeadlockDetected) as caught:
            projecting.result(10)

    assert is_transient(caught.value)
    assert failures(sessions) == 0
    catch_up(sessions, "summary", SUMMARY, AT_ONCE)
    assert shown(sessions) == {"ORDER-001": 2, "ORDER-002": 2}


def test_a_table_that_is_still_to_come(sessions: sessionmaker[Session]) -> None:
    append_placed(sessions, "ORDER-001")
    run(sessions, "ALTER TABLE order_summary_read_models RENAME TO away")
    with pytest.raises(Exception, match="UndefinedTable") as caught:
        catch_up(sessions, "summary", SUMMARY, AT_ONCE)
    run(sessions, "ALTER TABLE away RENAME TO order_summary_read_models")

    assert is_transient(caught.value)
    assert failures(sessions) == 0
    catch_up(sessions, "summary", SUMMARY, AT_ONCE)
    assert shown(sessions) == {"ORDER-001": 1}


def test_a_run_that_breaks_off_keeps_the_batches_that_are_done(
    sessions: sessionmaker[Session], disturb: Callable[[Disturb | None], None]
) -> None:
    place_many(sessions, BATCH + 10)
    batches = []

    def end_the_second(connection: Connection[Any]) -> None:
        batches.append(connection)
        if len(batches) == 2:
            end_own_backend(connection)

    disturb(end_the_second)
    with pytest.raises(psycopg.OperationalError):
        catch_up(sessions, "summary", SUMMARY, AT_ONCE)
    assert len(shown(sessions)) == BATCH
    disturb(None)

    assert catch_up(sessions, "summary", SUMMARY, AT_ONCE).events == 10
