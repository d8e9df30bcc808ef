"""The counters of the statistics equal the rows they count, at every moment and whoever changes the rows."""

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from flask_migrate import downgrade, upgrade
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.streams import IdRange
from core.projection.catch_up import catch_up
from core.projection.counters import CounterDifference
from core.projection.rebuild import rebuild_orders, recount
from core.projection.verify import verify_counters
from core.read_models.statistics import BE_ALONE, OrderCounters, OrderStatistics, statistics
from core.read_models.wiring import PROJECTORS
from core.settings import Patience
from tests.support.damage import shipped
from tests.support.examples import CANCELLED, CONFIRMED, EVERY_STATE, LAPTOP_ADDED, LIFE, ORDER_ID, PLACED
from tests.support.read_side import place, place_many, project_all, run, value
from tests.support.streams import append

Sessions = sessionmaker[Session]

CHANGES = "SELECT count(*) FROM order_statistics"
SUMMARY = "order_summary_read_models"
DAMAGE = "INSERT INTO order_statistics VALUES ('shipped', 7, 0)"
SAID = "summary: number of shipped orders: stored 9, rows say 2"


def counted(sessions: Sessions) -> OrderStatistics:
    """What the counters say, after making sure that the rows say the same."""
    assert verify_counters(sessions, PROJECTORS) == []
    with sessions.begin() as session:
        return statistics(session)


def fold(sessions: Sessions) -> None:
    with sessions.begin() as session:
        OrderCounters().fold(session)


@pytest.mark.parametrize("state", EVERY_STATE)
def test_every_state_is_counted_event_by_event(sessions: Sessions, state: str) -> None:
    for after, event in enumerate(EVERY_STATE[state]):
        append(sessions, [event], after=after)
        project_all(sessions, ORDER_ID)
        assert counted(sessions).total_count == 1

    status = state.split(maxsplit=1)[0]
    assert getattr(counted(sessions), f"{status}_count") == 1
    assert str(counted(sessions).total_revenue) == ("10000.00" if status == "shipped" else "0.00")


def test_an_added_item_writes_no_change(sessions: Sessions) -> None:
    place(sessions, ORDER_ID)
    project_all(sessions, ORDER_ID)
    before = value(sessions, CHANGES)

    append(sessions, [LAPTOP_ADDED], after=1)
    project_all(sessions, ORDER_ID)

    assert value(sessions, CHANGES) == before == 1


def test_changes_by_hand_are_counted(sessions: Sessions) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002", "ORDER-003")

    run(sessions, f"UPDATE {SUMMARY} SET status = 'pending' WHERE order_id = '{ORDER_ID}'")
    run(sessions, f"UPDATE {SUMMARY} SET total_amount = 1 WHERE order_id = 'ORDER-002'")
    run(sessions, f"DELETE FROM {SUMMARY} WHERE order_id = 'ORDER-003'")
    found = counted(sessions)
    assert (found.pending_count, found.shipped_count, str(found.total_revenue)) == (1, 1, "1.00")

    run(sessions, f"TRUNCATE {SUMMARY}")
    assert counted(sessions).total_count == 0


def test_a_change_that_is_rolled_back_is_not_counted(sessions: Sessions) -> None:
    shipped(sessions, ORDER_ID)
    with sessions() as session:
        session.execute(text(f"DELETE FROM {SUMMARY}"))
        session.rollback()

    assert counted(sessions).shipped_count == 1


def test_who_changes_orders_of_one_status_waits_for_nobody(sessions: Sessions) -> None:
    place(sessions, ORDER_ID, "ORDER-002")
    project_all(sessions, ORDER_ID, "ORDER-002")
    confirm = text(f"UPDATE {SUMMARY} SET status = 'confirmed' WHERE order_id = :order_id")
    with sessions.begin() as one, sessions.begin() as other:
        for session, order_id in ((one, ORDER_ID), (other, "ORDER-002")):
            session.execute(text("SET LOCAL lock_timeout = '1s'"))
            session.execute(confirm, {"order_id": order_id})

    assert counted(sessions).confirmed_count == 2


def test_folding_leaves_a_row_per_status_and_the_same_sums(sessions: Sessions) -> None:
    place_many(sessions, 150)
    append(sessions, LIFE)
    project_all(sessions, ORDER_ID, *(f"FILL-{n}" for n in range(1, 151)))
    run(sessions, f"DELETE FROM {SUMMARY} WHERE order_id = '{ORDER_ID}'")
    before = counted(sessions)

    fold(sessions)

    assert value(sessions, CHANGES) == 1  # of the status that has orders
    assert counted(sessions) == before


def test_catch_up_folds_many_changes_but_not_few(sessions: Sessions) -> None:
    shipped(sessions, ORDER_ID)
    project_all(sessions, *(f"FILL-{n}" for n in range(1, 90)))
    shipped(sessions, *(f"ORDER-{number:03}" for number in range(2, 100)))
    assert value(sessions, CHANGES) == 99

    place_many(sessions, 10)
    shipped(sessions)

    assert value(sessions, CHANGES) == 2
    assert counted(sessions).total_count == 109


def test_catch_up_folds_without_news(sessions: Sessions) -> None:
    place_many(sessions, 150)
    shipped(sessions)
    run(sessions, f"UPDATE {SUMMARY} SET total_amount = 1")
    before = counted(sessions)

    assert catch_up(sessions, "summary", PROJECTORS["summary"]).events == 0

    assert value(sessions, CHANGES) == 1
    assert counted(sessions) == before


def test_catch_up_folds_what_hints_project_while_a_transaction_stays_open(sessions: Sessions) -> None:
    with sessions() as open_one:
        open_one.execute(text("SELECT pg_current_xact_id()"))
        place_many(sessions, 150)
        project_all(sessions, *(f"FILL-{n}" for n in range(1, 151)))
        assert value(sessions, CHANGES) == 150

        assert catch_up(sessions, "summary", PROJECTORS["summary"]).events == 0

        assert value(sessions, CHANGES) == 1


def test_folding_does_not_wait_for_who_counts_again(sessions: Sessions) -> None:
    place_many(sessions, 150)
    project_all(sessions, *(f"FILL-{n}" for n in range(1, 151)))
    with sessions.begin() as counting:
        counting.execute(BE_ALONE)
        fold(sessions)
        assert value(sessions, CHANGES) == 150

    fold(sessions)
    assert value(sessions, CHANGES) == 1


def test_what_is_not_committed_when_counting_again_is_counted_when_it_is(sessions: Sessions) -> None:
    place(sessions, ORDER_ID, "ORDER-002")
    project_all(sessions, ORDER_ID, "ORDER-002")
    with sessions.begin() as open_one:
        open_one.execute(text(f"UPDATE {SUMMARY} SET status = 'cancelled' WHERE order_id = '{ORDER_ID}'"))
        run(sessions, "UPDATE order_statistics SET orders = 5")
        recount(sessions, PROJECTORS)
        assert counted(sessions).pending_count == 2

    found = counted(sessions)
    assert (found.pending_count, found.cancelled_count) == (1, 1)


def test_a_rebuild_of_right_rows_writes_no_lasting_change(sessions: Sessions) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002")
    before = counted(sessions)

    with sessions.begin() as session:
        rebuild_orders(session, IdRange(), PROJECTORS, Patience())

    assert counted(sessions) == before


def test_verify_finds_a_damaged_counter_and_repair_mends_it(sessions: Sessions, runner: FlaskCliRunner) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002")
    run(sessions, DAMAGE, "INSERT INTO order_statistics VALUES ('lost', 0, 3)")
    recounted = [CounterDifference("summary", "amount of lost orders", 3, 0)]
    assert verify_counters(sessions, ["summary"])[:1] == recounted

    found = runner.invoke(args=["verify"])
    assert (found.exit_code, SAID in found.output.splitlines()) == (1, True)
    dry = runner.invoke(args=["rebuild", "--dry-run"])
    assert SAID in dry.output.splitlines()
    assert runner.invoke(args=["verify", "details"]).exit_code == 0

    repaired = runner.invoke(args=["verify", "--repair"])
    assert (repaired.exit_code, SAID in repaired.output.splitlines()) == (0, True)
    assert runner.invoke(args=["verify"]).exit_code == 0
    assert counted(sessions).shipped_count == 2


def test_a_rebuild_counts_again(sessions: Sessions, runner: FlaskCliRunner) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002")
    run(sessions, DAMAGE)

    assert runner.invoke(args=["rebuild", "details"]).exit_code == 0
    assert len(verify_counters(sessions, PROJECTORS)) == 1
    assert runner.invoke(args=["rebuild", "summary"]).exit_code == 0
    assert counted(sessions).shipped_count == 2


def test_the_migration_counts_the_orders_there_are(app: Flask, sessions: Sessions) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED, CONFIRMED])
    append(sessions, [PLACED, CANCELLED], order_id="ORDER-002")
    project_all(sessions, ORDER_ID, "ORDER-002")
    before = counted(sessions)
    with app.app_context():
        downgrade(revision="0005")
        place(sessions, "ORDER-003")
        project_all(sessions, "ORDER-003")
        upgrade()

    found = counted(sessions)
    assert (found.confirmed_count, found.cancelled_count) == (before.confirmed_count, before.cancelled_count) == (1, 1)
    assert found.pending_count == 1
