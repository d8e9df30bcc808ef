"""A rebuild that was asked for is done range by range, by whoever is hinted at it, and survives all of them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.operator_actions import Action, OperatorAction, Outcome, newest
from core.projection.rebuild_plan import RebuildPlan
from core.projection.rebuild_requests import STALLED, ask, cancel, take_stalled, unfinished, work_on
from core.read_models.wiring import PROJECTORS
from core.settings import Patience
from tests.support.damage import shipped
from tests.support.examples import ORDER_ID
from tests.support.read_side import run, store, value
from tests.support.rebuilding import assert_equal_to_events, build_gate, closed, fill, ranges_left_behind
from tests.support.waiting import wait_for_lock

Sessions = sessionmaker[Session]

ORDERS, RANGES = 3000, 3
LONG = 100.0  # seconds
SUMMARY = "order_summary_read_models"


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    """A thread that works while the test looks."""
    with ThreadPoolExecutor(1) as thread:
        yield thread


def asked(sessions: Sessions, name: str = "summary") -> bool:
    with sessions.begin() as session:
        return ask(session, "shop", name)


def work(sessions: Sessions, name: str = "summary", seconds: float = LONG) -> bool:
    return work_on(sessions, name, PROJECTORS[name], Patience(attempts=1), seconds=seconds)


def last(sessions: Sessions) -> OperatorAction:
    with sessions.begin() as session:
        return newest(session, [Action.REBUILD], 1)[0]


def done(sessions: Sessions) -> tuple[int, int | None]:
    with sessions.begin() as session:
        request = unfinished(session)["summary"]
    return request.done, request.total


def test_it_is_done_in_short_runs(sessions: Sessions) -> None:
    fill(sessions, ORDERS)
    assert asked(sessions)
    assert done(sessions) == (0, None)

    for number in range(1, RANGES + 1):
        assert work(sessions, seconds=0)
        assert done(sessions) == (number, RANGES)
    assert not work(sessions, seconds=0)

    action = last(sessions)
    assert (action.actor, action.subject, action.outcome) == ("shop", "summary", Outcome.DONE)
    assert (action.done, action.total) == (RANGES, RANGES)
    assert ranges_left_behind(sessions) == 0
    for name in PROJECTORS.keys() - {"summary"}:
        assert asked(sessions, name)
        assert not work(sessions, name)
    assert_equal_to_events(sessions)


def test_of_one_read_model_one_is_asked_for_at_a_time(sessions: Sessions) -> None:
    assert asked(sessions)
    assert not asked(sessions)
    assert asked(sessions, "details")

    assert not work(sessions)

    assert last(sessions).subject == "details"
    assert asked(sessions)


def test_without_a_request_there_is_nothing_to_do(sessions: Sessions) -> None:
    assert not work(sessions)
    assert ranges_left_behind(sessions) == 0


def test_an_order_that_fails_is_told_in_the_outcome(sessions: Sessions) -> None:
    shipped(sessions, ORDER_ID)
    store(sessions, ORDER_ID, 6, "OrderRefunded")
    asked(sessions)

    work(sessions)

    assert last(sessions).outcome is Outcome.PARTLY
    assert value(sessions, f"SELECT version FROM {SUMMARY}") == 5


@pytest.mark.parametrize("runs", [0, 1])
def test_it_may_be_cancelled_and_asked_for_again(sessions: Sessions, runs: int) -> None:
    fill(sessions, ORDERS)
    asked(sessions)
    for _ in range(runs):
        work(sessions, seconds=0)

    with sessions.begin() as session:
        assert cancel(session, "summary")
        assert not cancel(session, "summary")

    assert not work(sessions)
    assert (last(sessions).outcome, last(sessions).done) == (Outcome.CANCELLED, runs)
    assert asked(sessions)
    work(sessions)
    assert last(sessions).outcome is Outcome.DONE


def test_a_range_that_is_being_made_is_the_last_when_it_is_cancelled(
    sessions: Sessions, background: ThreadPoolExecutor
) -> None:
    fill(sessions, ORDERS)
    asked(sessions)
    build_gate(sessions, "TRIGGER before_claim BEFORE UPDATE ON rebuild_ranges FOR EACH STATEMENT")

    with closed(sessions):
        working = background.submit(work, sessions)
        wait_for_lock(sessions)
        with sessions.begin() as session:
            cancel(session, "summary")

    assert working.result() is False
    assert last(sessions).outcome is Outcome.CANCELLED
    assert ranges_left_behind(sessions) == 0
    assert value(sessions, f"SELECT count(*) FROM {SUMMARY}") < ORDERS


def test_a_range_that_another_has_is_left_to_that_one(sessions: Sessions, background: ThreadPoolExecutor) -> None:
    fill(sessions, ORDERS)
    asked(sessions)

    work_on_first = "TRIGGER first BEFORE UPDATE ON rebuild_ranges FOR EACH ROW WHEN (NEW.number = 0)"
    build_gate(sessions, work_on_first, "first")
    with closed(sessions, "first"):
        other = background.submit(work, sessions)
        wait_for_lock(sessions)
        assert not work(sessions)
        assert done(sessions) == (RANGES - 1, RANGES)

    assert other.result() is False
    assert last(sessions).outcome is Outcome.DONE


def test_one_that_nobody_works_on_is_hinted_at_again_once(sessions: Sessions) -> None:
    asked(sessions)
    with sessions.begin() as session:
        assert take_stalled(session) == []
    run(sessions, f"UPDATE operator_actions SET asked_at = asked_at - interval '{STALLED + 1} seconds'")

    for expected in (["summary"], []):
        with sessions.begin() as session:
            assert take_stalled(session) == expected


def test_another_rebuild_leaves_its_plan_alone(sessions: Sessions) -> None:
    fill(sessions, ORDERS)
    asked(sessions)
    work(sessions, seconds=0)

    with RebuildPlan(sessions):
        pass

    assert done(sessions) == (1, RANGES)
