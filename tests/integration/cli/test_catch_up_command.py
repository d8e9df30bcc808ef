"""`flask catch-up` does what Beat asks the workers for, and says what came of it."""

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy.orm import Session, sessionmaker

from core.read_models.wiring import PROJECTORS
from tests.support.examples import LAPTOP_ADDED, ORDER_ID, PLACED
from tests.support.failing import end_pauses
from tests.support.read_side import append_placed, project_all, run, shown
from tests.support.streams import append

OTHERS_CAUGHT_UP = [
    f"{name}: 1 events checked, 1 orders brought up to date" for name in PROJECTORS if name != "summary"
]


def test_it_says_what_it_did(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    append_placed(sessions, ORDER_ID, "ORDER-002")
    project_all(sessions, "ORDER-002")

    result = runner.invoke(args=["catch-up"])

    assert (result.exit_code, result.output.splitlines()) == (
        0,
        [f"{name}: 2 events checked, 1 orders brought up to date" for name in PROJECTORS],
    )


def test_an_order_that_fails_is_named_each_time_it_is_tried(
    sessions: sessionmaker[Session], runner: FlaskCliRunner
) -> None:
    append(sessions, [PLACED, PLACED, LAPTOP_ADDED])
    append_placed(sessions, "ORDER-002")
    stopped = f"order {ORDER_ID} stopped before version 2: BrokenStream: "

    for _ in range(2):
        result = runner.invoke(args=["catch-up"])
        assert result.exit_code == 1
        for name in PROJECTORS:
            assert f"{name}: {stopped}" in result.stderr
        end_pauses(sessions)
    assert shown(sessions) == {ORDER_ID: 1, "ORDER-002": 1}


def test_a_read_model_that_fails_is_named_and_holds_no_other_back(
    sessions: sessionmaker[Session], runner: FlaskCliRunner
) -> None:
    append_placed(sessions, ORDER_ID)
    run(sessions, "ALTER TABLE projector_checkpoints ADD CONSTRAINT damaged CHECK (projector <> 'summary')")

    result = runner.invoke(args=["catch-up"])

    assert result.exit_code == 1
    assert result.stderr.startswith("summary: The database failed; run the command again. (CheckViolation: ")
    assert result.stdout.splitlines() == OTHERS_CAUGHT_UP


def test_a_mistake_in_a_read_model_shows_its_traceback_and_holds_no_other_back(
    sessions: sessionmaker[Session], runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_placed(sessions, ORDER_ID)
    monkeypatch.setattr(PROJECTORS["summary"], "tables", ())

    result = runner.invoke(args=["catch-up"])

    assert result.exit_code == 1
    assert result.stderr.startswith("summary: Traceback (most recent call last):")
    assert "IndexError" in result.stderr
    assert result.stdout.splitlines() == OTHERS_CAUGHT_UP


def test_a_database_that_is_not_migrated_is_a_sentence_per_read_model(
    sessions: sessionmaker[Session], runner: FlaskCliRunner
) -> None:
    run(sessions, "ALTER TABLE projection_failures RENAME TO away")

    result = runner.invoke(args=["catch-up"])

    why = 'UndefinedTable: relation "projection_failures" does not exist'
    sentence = f"The database is not migrated; run `flask db upgrade`. ({why})"
    assert (result.exit_code, result.output) == (1, "".join(f"{name}: {sentence}\n" for name in PROJECTORS))
