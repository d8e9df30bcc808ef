"""`flask verify` compares snapshots with the events they stand for, and removes what is wrong when told to."""

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing import repository
from core.orders.order import STATE_SHAPE
from tests.support.examples import ADD_LAPTOP, CONFIRM, NOON, ORDER_ID, PLACE
from tests.support.read_side import run, value
from tests.support.streams import handle

SAYS = f"snapshots: {ORDER_ID} is not what its events say\n"


@pytest.fixture(autouse=True)
def _an_order_with_a_snapshot(sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "SNAPSHOT_EVERY", 3)
    for command in (PLACE, ADD_LAPTOP, ADD_LAPTOP, CONFIRM):
        handle(sessions, command, at=NOON)
    assert value(sessions, "SELECT version FROM order_snapshots") == 3


def test_a_right_snapshot_is_no_difference(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["verify"])

    assert (result.exit_code, "snapshots" in result.output) == (0, False)


@pytest.mark.parametrize(
    "damage",
    [
        """state = state || '{"status": "shipped"}'""",
        """state = state || '{"item_count": 7}'""",
        "version = 2",
        "version = 9",
        "occurred_at = occurred_at + interval '1 second'",
    ],
)
def test_a_wrong_snapshot_is_told_and_removed_by_repair(
    runner: FlaskCliRunner, sessions: sessionmaker[Session], damage: str
) -> None:
    run(sessions, f"UPDATE order_snapshots SET {damage}")

    told = runner.invoke(args=["verify"])
    assert (told.exit_code, SAYS in told.output) == (1, True)
    assert runner.invoke(args=["verify", "summary"]).exit_code == 0

    repaired = runner.invoke(args=["verify", "--repair"])
    assert (repaired.exit_code, "1 snapshots removed: ORDER-001" in repaired.output) == (0, True)
    assert value(sessions, "SELECT count(*) FROM order_snapshots") == 0


def test_a_snapshot_of_another_shape_is_nobodys_business(
    runner: FlaskCliRunner, sessions: sessionmaker[Session]
) -> None:
    run(sessions, f"UPDATE order_snapshots SET shape = {STATE_SHAPE + 1}, state = '[]'")

    assert runner.invoke(args=["verify"]).exit_code == 0
