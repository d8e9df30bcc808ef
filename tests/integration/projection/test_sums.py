"""Sums over orders equal the rows they count, whatever the writer writes; the statistics are the example."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from flask_migrate import downgrade, upgrade
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing.streams import IdRange
from core.projection import sums, writer
from core.projection.catch_up import catch_up
from core.projection.project import project_within
from core.projection.rebuild import rebuild_orders
from core.projection.verify import Difference, verify_sums
from core.read_models.statistics import ORDERS_BY_STATUS, OrderStatistics, statistics
from core.read_models.wiring import PROJECTORS, SUMS
from core.settings import Patience
from tests.support.damage import shipped
from tests.support.examples import CANCELLED, CONFIRMED, EVERY_STATE, LAPTOP_ADDED, LIFE, ORDER_ID, PLACED
from tests.support.read_side import append_placed, place_many, project_all, run, value
from tests.support.streams import append

Sessions = sessionmaker[Session]

CHANGES = "SELECT count(*) FROM order_statistics"
SUMMARY = "order_summary_read_models"
DAMAGE = "INSERT INTO order_statistics (status, orders, amount, folded) VALUES ('{}', {}, {}, false)"
SAID = "statistics: shipped orders: stored 9, rows say 2"


def counted(sessions: Sessions) -> OrderStatistics:
    """What the sums say, after making sure that the rows say the same."""
    assert verify_sums(sessions, SUMS) == []
    with sessions.begin() as session:
        return statistics(session)


def fold(sessions: Sessions) -> None:
    with sessions.begin() as session:
        sums.fold(session, ORDERS_BY_STATUS)


def recount(sessions: Sessions) -> None:
    for each in SUMS.values():
        with sessions.begin() as session:
            sums.recount(session, each)


def largest(sessions: Sessions, number: int) -> list[tuple[object, ...]]:
    with sessions.begin() as session:
        return [tuple(row) for row in sums.largest(session, ORDERS_BY_STATUS, "orders", number)]


def project_each(sessions: Sessions, *order_ids: str) -> None:
    """In a transaction of its own, so that each notes a change."""
    for order_id in order_ids:
        project_all(sessions, order_id)


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
    append_placed(sessions, ORDER_ID)
    project_all(sessions, ORDER_ID)
    before = value(sessions, CHANGES)

    append(sessions, [LAPTOP_ADDED], after=1)
    project_all(sessions, ORDER_ID)

    assert value(sessions, CHANGES) == before == 1


def test_many_orders_at_once_are_counted(sessions: Sessions) -> None:
    shipped(sessions, *(f"ORDER-{number:03}" for number in range(50)))
    assert counted(sessions).shipped_count == 50

    for number in range(50):
        append(sessions, [PLACED, CANCELLED], order_id=f"OTHER-{number:03}")
    project_all(sessions, *(f"OTHER-{number:03}" for number in range(50)))
    assert counted(sessions).cancelled_count == 50


def test_a_projection_that_is_rolled_back_is_not_counted(sessions: Sessions) -> None:
    shipped(sessions, ORDER_ID)
    with sessions() as session:
        writer.remove(driver_connection(session), PROJECTORS["summary"], [ORDER_ID])
        assert statistics(session).shipped_count == 0
        session.rollback()

    assert counted(sessions).shipped_count == 1


def test_rows_changed_by_hand_are_found_and_counted_again(sessions: Sessions) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002")
    run(sessions, f"DELETE FROM {SUMMARY} WHERE order_id = '{ORDER_ID}'")
    assert verify_sums(sessions, SUMS) != []

    recount(sessions)
    assert counted(sessions).shipped_count == 1
    assert value(sessions, "SELECT count(*) FROM order_statistics WHERE NOT folded") == 0

    project_all(sessions, ORDER_ID)
    assert counted(sessions).shipped_count == 2


def test_projections_of_one_status_do_not_wait_for_one_another(sessions: Sessions) -> None:
    append_placed(sessions, ORDER_ID, "ORDER-002")
    with sessions.begin() as one, sessions.begin() as other:
        for session, order_id in ((one, ORDER_ID), (other, "ORDER-002")):
            session.execute(text("SET LOCAL lock_timeout = '1s'"))
            project_within(driver_connection(session), PROJECTORS["summary"], [order_id])

    assert counted(sessions).pending_count == 2


def test_folding_leaves_a_row_per_status_and_the_same_sums(sessions: Sessions) -> None:
    place_many(sessions, 150)
    project_each(sessions, *(f"FILL-{n}" for n in range(1, 151)))
    append(sessions, LIFE)
    project_all(sessions, ORDER_ID)
    before = counted(sessions)

    for _ in range(2):
        fold(sessions)
        assert value(sessions, CHANGES) == 2  # statuses
        assert counted(sessions) == before


def test_folding_that_fails_is_told_and_stops_no_projecting(
    sessions: Sessions, caplog: pytest.LogCaptureFixture
) -> None:
    place_many(sessions, 150)
    project_each(sessions, *(f"FILL-{n}" for n in range(1, 151)))
    append_placed(sessions, ORDER_ID)
    run(sessions, "ALTER TABLE order_statistics ADD CONSTRAINT another CHECK (NOT folded)")

    found = catch_up(sessions, "summary", PROJECTORS["summary"])

    assert (found.projected, found.failures) == (1, {})
    assert counted(sessions).pending_count == 151
    assert re.search("order_statistics was not folded .*another.*; the next catch-up tries again", caplog.text)


def test_folding_adds_to_what_is_folded(sessions: Sessions) -> None:
    for day in ("A", "B"):
        append_placed(sessions, *(f"{day}-{n}" for n in range(110)))
        project_each(sessions, *(f"{day}-{n}" for n in range(110)))
        fold(sessions)

    assert value(sessions, CHANGES) == 1
    assert counted(sessions).pending_count == 220


def test_catch_up_folds_many_changes_but_not_few(sessions: Sessions) -> None:
    place_many(sessions, 101)
    project_each(sessions, *(f"FILL-{n}" for n in range(1, 101)))
    catch_up(sessions, "details", PROJECTORS["details"])
    assert value(sessions, CHANGES) == 100

    catch_up(sessions, "summary", PROJECTORS["summary"])
    assert value(sessions, CHANGES) == 1
    assert counted(sessions).pending_count == 101


def test_catch_up_folds_what_hints_project_while_a_transaction_stays_open(sessions: Sessions) -> None:
    with sessions() as open_one:
        open_one.execute(text("SELECT pg_current_xact_id()"))
        place_many(sessions, 150)
        project_each(sessions, *(f"FILL-{n}" for n in range(1, 151)))
        assert value(sessions, CHANGES) == 150

        assert catch_up(sessions, "summary", PROJECTORS["summary"]).events == 0

        assert value(sessions, CHANGES) == 1


def test_folding_does_not_wait_for_who_counts_again(sessions: Sessions) -> None:
    place_many(sessions, 150)
    project_each(sessions, *(f"FILL-{n}" for n in range(1, 151)))
    with sessions.begin() as counting:
        counting.execute(sums.BE_ALONE, {"name": ORDERS_BY_STATUS.table.name})
        fold(sessions)
        assert value(sessions, CHANGES) == 150

    fold(sessions)
    assert value(sessions, CHANGES) == 1


def test_what_is_not_committed_when_counting_again_is_counted_when_it_is(sessions: Sessions) -> None:
    append_placed(sessions, ORDER_ID, "ORDER-002")
    project_all(sessions, ORDER_ID, "ORDER-002")
    append(sessions, [CANCELLED], after=1)
    with sessions.begin() as open_one:
        project_within(driver_connection(open_one), PROJECTORS["summary"], [ORDER_ID])
        run(sessions, "UPDATE order_statistics SET orders = 5")
        recount(sessions)
        assert counted(sessions).pending_count == 2

    found = counted(sessions)
    assert (found.pending_count, found.cancelled_count) == (1, 1)


def test_a_rebuild_of_right_rows_writes_no_lasting_change(sessions: Sessions) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002")
    before = counted(sessions)

    with sessions.begin() as session:
        rebuild_orders(session, IdRange(), PROJECTORS, Patience())

    assert counted(sessions) == before


def test_verify_finds_a_damaged_sum_and_repair_mends_it(sessions: Sessions, runner: FlaskCliRunner) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002")
    run(sessions, DAMAGE.format("shipped", 7, 0), DAMAGE.format("lost", 0, 3))
    assert verify_sums(sessions, SUMS)[:1] == [Difference("statistics", "lost", "amount", 3, 0)]

    found = runner.invoke(args=["verify"])
    assert (found.exit_code, SAID in found.output.splitlines()) == (1, True)
    dry = runner.invoke(args=["rebuild", "--dry-run"])
    assert SAID in dry.output.splitlines()
    assert runner.invoke(args=["verify", "details"]).exit_code == 0

    repaired = runner.invoke(args=["verify", "--repair"])
    assert (repaired.exit_code, SAID in repaired.output.splitlines()) == (0, True)
    assert runner.invoke(args=["verify"]).exit_code == 0
    assert counted(sessions).shipped_count == 2


def test_differences_of_many_keys_are_shown_in_part(sessions: Sessions, runner: FlaskCliRunner) -> None:
    damage = "INSERT INTO order_statistics (status, orders, amount, folded) SELECT 'lost ' || n, 1, 1, false"
    run(sessions, f"{damage} FROM generate_series(1, 1000) AS n")

    assert len(verify_sums(sessions, SUMS)) == 2 * sums.MOST_KEYS
    lines = runner.invoke(args=["verify"]).output.splitlines()
    assert sum(line.startswith("statistics: lost ") for line in lines) == 20
    assert "… and more differences of sums" in lines


def test_the_largest_sums_are_found_folded_or_not(sessions: Sessions) -> None:
    orders = [("A", 5), ("B", 4), ("C", 3), ("D", 2), ("E", 2)]
    add = "INSERT INTO order_statistics (status, orders, amount, folded) VALUES ('{}', {}, 0, {})"
    run(sessions, *(add.format(status, number, "true") for status, number in orders))
    assert largest(sessions, 3) == [("A", 5, 0), ("B", 4, 0), ("C", 3, 0)]

    changes = [("A", -2), ("A", -2), ("B", -4), ("D", 5), ("F", 9)]
    run(sessions, *(add.format(status, number, "false") for status, number in changes))
    assert largest(sessions, 9) == [("F", 9, 0), ("D", 7, 0), ("C", 3, 0), ("E", 2, 0), ("A", 1, 0)]
    assert largest(sessions, 3) == [("F", 9, 0), ("D", 7, 0), ("C", 3, 0)]


def test_a_rebuild_counts_again(sessions: Sessions, runner: FlaskCliRunner) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002")
    run(sessions, DAMAGE.format("shipped", 7, 0))

    assert runner.invoke(args=["rebuild", "details"]).exit_code == 0
    assert len(verify_sums(sessions, SUMS)) == 1
    assert runner.invoke(args=["rebuild", "statistics"]).exit_code == 0
    assert counted(sessions).shipped_count == 2


def test_a_rebuild_after_all_rows_were_lost_counts_each_once(sessions: Sessions, runner: FlaskCliRunner) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002")
    run(sessions, f"TRUNCATE {SUMMARY}")

    assert runner.invoke(args=["rebuild", "summary"]).exit_code == 0
    assert counted(sessions).shipped_count == 2


def test_the_migration_keeps_the_sums_there_and_back(app: Flask, sessions: Sessions) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED, CONFIRMED])
    append(sessions, [PLACED, CANCELLED], order_id="ORDER-002")
    project_all(sessions, ORDER_ID, "ORDER-002")
    with app.app_context():
        downgrade(revision="0007")
        run(sessions, f"UPDATE {SUMMARY} SET status = 'shipped' WHERE order_id = '{ORDER_ID}'")
        upgrade()

    assert verify_sums(sessions, {"statistics": ORDERS_BY_STATUS}) == []
    with sessions.begin() as session:
        found = statistics(session)
    assert (found.confirmed_count, found.shipped_count, found.cancelled_count) == (0, 1, 1)
