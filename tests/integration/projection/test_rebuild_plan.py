"""The plan of a rebuild covers every order once, and does not outlive its rebuild."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.projection import rebuild_plan
from core.projection.rebuild import rebuild_next_range
from core.projection.rebuild_plan import PlanIsGone, RebuildPlan
from core.read_models.wiring import PROJECTORS
from core.settings import Patience
from tests.support.examples import LAPTOP_ADDED, PLACED
from tests.support.read_side import rows, run, value
from tests.support.rebuilding import assert_equal_to_events, build_gate, closed, fill, ranges_left_behind
from tests.support.streams import append
from tests.support.waiting import wait_for_lock

Sessions = sessionmaker[Session]

RANGES = text("SELECT from_id, until_id, events FROM rebuild_ranges WHERE rebuild_id = :id ORDER BY number")


def ranges(sessions: Sessions, plan: RebuildPlan) -> Sequence[tuple[str, str | None, int]]:
    with sessions.begin() as session:
        return [(first, until, events) for first, until, events in session.execute(RANGES, {"id": plan.id})]


@pytest.mark.parametrize("sizes", [[1], [30], [2, 2, 2, 2, 2, 2], [1, 30, 1, 9, 1, 1, 12], [4, 6, 10, 1], [1] * 25])
def test_the_ranges_hold_every_order_once(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, sizes: list[int]
) -> None:
    """Each ends where it has ten events or more, or the log ends."""
    monkeypatch.setattr(rebuild_plan, "EVENTS_PER_RANGE", 10)
    for n, size in enumerate(sizes):
        append(sessions, [PLACED, *[LAPTOP_ADDED] * (size - 1)], order_id=f"ORDER-{n:02}")

    with RebuildPlan(sessions) as plan:
        planned = ranges(sessions, plan)
        assert planned[0][0] == ""
        assert planned[-1][1] is None
        assert all(one[1] == following[0] for one, following in pairwise(planned))
        assert sum(events for _, _, events in planned) == sum(sizes)
        assert all(events < 10 + max(sizes) for _, _, events in planned)
        while rebuild_next_range(sessions, plan.id, PROJECTORS, Patience()):
            pass
        assert plan.progress().ranges_left == 0

    assert_equal_to_events(sessions)
    assert ranges_left_behind(sessions) == 0


def test_rows_without_events_are_removed_even_from_an_empty_log(sessions: Sessions, runner: FlaskCliRunner) -> None:
    run(sessions, "INSERT INTO order_item_read_models VALUES ('ORDER-404', 2, 'ghost', 1, 1, 1)")

    result = runner.invoke(args=["rebuild"])

    assert result.exit_code == 0
    assert f"{', '.join(PROJECTORS)}: 0 events in" in result.output
    assert rows(sessions)["order_item_read_models"] == []


def test_the_plan_of_a_living_rebuild_is_left_alone(sessions: Sessions) -> None:
    fill(sessions, 10)
    with RebuildPlan(sessions) as one:
        with RebuildPlan(sessions) as other:
            assert one.progress().ranges_left == other.progress().ranges_left == 1
        assert one.progress().ranges_left == 1


def test_a_rebuild_leaves_no_transaction_open_which_would_hold_catch_up_back(sessions: Sessions) -> None:
    fill(sessions, 10)
    open_transactions = f"SELECT count(*) FROM pg_stat_activity WHERE pid IN ({HOLDING}) AND state <> 'idle'"
    with RebuildPlan(sessions) as plan:
        assert rebuild_next_range(sessions, plan.id, PROJECTORS, Patience())
        assert value(sessions, HOLDING) is not None
        assert value(sessions, open_transactions) == 0


def test_a_rebuild_taken_for_dead_says_so(sessions: Sessions) -> None:
    fill(sessions, 10)
    with RebuildPlan(sessions) as one:
        lose_lock(sessions)
        with RebuildPlan(sessions), pytest.raises(PlanIsGone):
            one.progress()


def test_a_command_taken_for_dead_fails_with_one_clear_sentence(sessions: Sessions, runner: FlaskCliRunner) -> None:
    fill(sessions, 10)
    build_gate(sessions, "TRIGGER before_claim BEFORE UPDATE ON rebuild_ranges FOR EACH STATEMENT")

    with ThreadPoolExecutor(1) as meanwhile, ExitStack() as other:
        with closed(sessions):
            rebuilding = meanwhile.submit(runner.invoke, args=["rebuild"])
            wait_for_lock(sessions)
            lose_lock(sessions)
            other.enter_context(RebuildPlan(sessions))
        result = rebuilding.result(60)

    assert result.exit_code == 1
    assert result.output == "Error: Another rebuild has removed the plan of this one; run the command again.\n"


HOLDING = """
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def lose_lock(sessions: Sessions) -> None:
    """As when the connection of a rebuild breaks."""
    assert value(sessions, f"SELECT pg_terminate_backend(pid, 5000) FROM ({HOLDING}) AS holding")
