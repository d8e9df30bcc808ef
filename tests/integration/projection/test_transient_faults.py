"""Faults that will pass are never held against an order: they are raised, and the next run goes on."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from psycopg.errors import DeadlockDetected
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from core.projection.catch_up import BATCH, catch_up
from core.read_models.header import OrderHeader
from core.read_models.summary import SummaryProjector
from core.read_models.wiring import PROJECTORS
from core.safe_errors import is_transient
from tests.support.examples import LAPTOP_ADDED
from tests.support.failing import AT_ONCE
from tests.support.read_side import checkpoint, place, place_many, project_all, run, shown, value
from tests.support.streams import append

SUMMARY = PROJECTORS["summary"]


class Disturbed(SummaryProjector):
    """Something happens to its transaction before it writes."""

    def __init__(self, disturb: Callable[[Session], object]) -> None:
        self.disturb = disturb

    def save(self, session: Session, views: Sequence[OrderHeader]) -> None:
        self.disturb(session)
        super().save(session, views)


def failures(sessions: sessionmaker[Session]) -> int:
    return int(value(sessions, "SELECT count(*) FROM projection_failures"))


def assert_transient(sessions: sessionmaker[Session], projector: SummaryProjector) -> None:
    """The run raises and holds nothing against anybody; the next one shows everything."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - is_transient is what is asserted of it
        catch_up(sessions, "summary", projector, AT_ONCE)
    assert is_transient(caught.value), caught.value
    assert (shown(sessions), failures(sessions), checkpoint(sessions)) == ({}, 0, 0)
    catch_up(sessions, "summary", SUMMARY, AT_ONCE)
    assert len(shown(sessions)) == value(sessions, "SELECT count(DISTINCT aggregate_id) FROM events")


def end_own_backend(session: Session) -> None:
    """As when PostgreSQL goes away: the connection is found dead by the next statement."""
    pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with session.get_bind().engine.connect() as other:
        assert other.execute(text(f"SELECT pg_terminate_backend({pid}, 5000)")).scalar_one()


@pytest.mark.parametrize("orders", [3, 30], ids=["before an INSERT", "before a COPY"])
def test_a_connection_killed_during_a_projection(sessions: sessionmaker[Session], orders: int) -> None:
    place_many(sessions, orders)

    assert_transient(sessions, Disturbed(end_own_backend))


@pytest.mark.parametrize("orders", [3, 30], ids=["before an INSERT", "before a COPY"])
def test_a_database_that_takes_no_writes(sessions: sessionmaker[Session], orders: int) -> None:
    place_many(sessions, orders)

    assert_transient(sessions, Disturbed(lambda session: session.execute(text("SET TRANSACTION READ ONLY"))))


def complain_past_sqlalchemy(session: Session) -> None:
    """As COPY does, which is the driver's own."""
    with closing(session.connection().connection.cursor()) as cursor:
        cursor.execute(COMPLAIN.format("40001"))


def test_a_fault_that_copy_meets(sessions: sessionmaker[Session]) -> None:
    place(sessions, "ORDER-001")

    assert_transient(sessions, Disturbed(complain_past_sqlalchemy))


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
    place(sessions, *order_ids)
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


def wait_for_lock(sessions: sessionmaker[Session]) -> None:
    while not value(sessions, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
        pass


def test_a_table_that_is_still_to_come(sessions: sessionmaker[Session]) -> None:
    place(sessions, "ORDER-001")
    run(sessions, "ALTER TABLE order_summary_read_models RENAME TO away")
    with pytest.raises(Exception, match="UndefinedTable") as caught:
        catch_up(sessions, "summary", SUMMARY, AT_ONCE)
    run(sessions, "ALTER TABLE away RENAME TO order_summary_read_models")

    assert is_transient(caught.value)
    assert failures(sessions) == 0
    catch_up(sessions, "summary", SUMMARY, AT_ONCE)
    assert shown(sessions) == {"ORDER-001": 1}


def test_a_run_that_breaks_off_keeps_the_batches_that_are_done(sessions: sessionmaker[Session]) -> None:
    place_many(sessions, BATCH + 10)
    batches = []

    def end_the_second(session: Session) -> None:
        batches.append(session)
        if len(batches) == 2:
            end_own_backend(session)

    with pytest.raises(OperationalError):
        catch_up(sessions, "summary", Disturbed(end_the_second), AT_ONCE)
    assert len(shown(sessions)) == BATCH

    assert catch_up(sessions, "summary", SUMMARY, AT_ONCE).events == 10
