"""`flask parked` lists, shows and retries the orders that a projector cannot bring further."""

import json
from collections.abc import Callable
from datetime import datetime

import pytest
from click.testing import Result
from flask.testing import FlaskCliRunner
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing import codec
from core.orders.events import OrderConfirmed
from core.projection.catch_up import catch_up
from core.read_models.wiring import PROJECTORS
from core.settings import Patience
from tests.support.examples import NOON, ORDER_ID, PLACED, SHIPPED
from tests.support.failing import AT_ONCE, THRICE
from tests.support.read_side import append_placed, run, shown, store
from tests.support.streams import append

UNKNOWN = "UnknownEventType: This release cannot read events of type 'OrderPacked', schema version 1."


@pytest.fixture(autouse=True)
def tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJECTION_ATTEMPTS", "1")


def fail(sessions: sessionmaker[Session], patience: Patience = AT_ONCE, order_id: str = ORDER_ID) -> None:
    """The order's second event cannot be read; its third could be applied after it."""
    append(sessions, [PLACED], order_id=order_id)
    store(sessions, order_id, 2, "OrderPacked")
    append(sessions, [SHIPPED], order_id=order_id, after=2)
    for name, projector in PROJECTORS.items():
        catch_up(sessions, name, projector, patience)


@pytest.fixture
def fix(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let this release read the event."""
    return lambda: monkeypatch.setitem(
        codec._DECODERS, ("OrderPacked", 1), lambda _: OrderConfirmed(order_id=ORDER_ID, confirmed_at=NOON)
    )


def parked(runner: FlaskCliRunner, *args: str) -> Result:
    return runner.invoke(args=["parked", *args])


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["list"], "No order is parked.\n"),
        (["list", "--json"], "[]\n"),
        (["retry", "--all"], "No order is parked.\n"),
    ],
)
def test_nothing_is_parked(runner: FlaskCliRunner, command: list[str], said: str) -> None:
    result = parked(runner, *command)

    assert (result.exit_code, result.output) == (0, said)


@pytest.mark.parametrize("command", ["show", "retry"])
def test_an_order_that_is_not_parked_is_an_error(
    sessions: sessionmaker[Session], runner: FlaskCliRunner, command: str
) -> None:
    fail(sessions)
    append_placed(sessions, "ORDER-002")

    result = parked(runner, command, "ORDER-002")

    assert (result.exit_code, result.output) == (1, "Error: Order ORDER-002 is not parked.\n")


def test_the_list_has_a_line_for_each_projector(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    fail(sessions)

    result = parked(runner, "list")

    assert result.exit_code == 0
    assert sorted(result.output.splitlines()) == [
        f"{name}: {ORDER_ID} version 2, attempts: 1: {UNKNOWN}" for name in sorted(PROJECTORS)
    ]


def test_the_list_as_json(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    fail(sessions)

    listed = json.loads(parked(runner, "list", "--json").output)

    assert [order["projector"] for order in listed] == [*PROJECTORS]
    summary = listed[0]
    times = {name: datetime.fromisoformat(summary.pop(name)) for name in ("first_failed_at", "last_failed_at")}
    assert times["first_failed_at"] == times["last_failed_at"]
    assert times["first_failed_at"].tzinfo is not None
    assert summary.pop("traceback").endswith(f"{UNKNOWN}\n")
    assert summary == {
        "projector": "summary",
        "order_id": ORDER_ID,
        "version": 2,
        "error": UNKNOWN,
        "attempts": 1,
        "next_attempt_at": None,
    }


def test_why_an_order_is_parked_is_shown(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    fail(sessions)

    result = parked(runner, "show", ORDER_ID)

    assert result.exit_code == 0
    for name in PROJECTORS:
        assert f"{name} cannot apply version 2 of {ORDER_ID}.\nAttempts: 1, from 20" in result.output
    assert result.output.count("\nParked\n") == len(PROJECTORS)
    assert "Traceback (most recent call last)" in result.output
    assert UNKNOWN in result.output


def test_an_order_between_attempts_is_shown_but_not_listed(
    sessions: sessionmaker[Session], runner: FlaskCliRunner
) -> None:
    fail(sessions, THRICE)

    assert parked(runner, "list").output == "No order is parked.\n"
    assert "\nNext attempt: 20" in parked(runner, "show", ORDER_ID).output


def test_a_retry_before_the_fix_fails(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    fail(sessions)

    result = parked(runner, "retry", ORDER_ID)

    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{name}: {ORDER_ID} stops before version 2: {UNKNOWN}" for name in PROJECTORS
    ]
    assert "attempts: 2" in parked(runner, "list").output
    assert shown(sessions) == {ORDER_ID: 1}


@pytest.mark.parametrize("patience", [AT_ONCE, THRICE], ids=["parked", "between attempts"])
def test_a_retry_after_the_fix_brings_the_order_up_to_date(
    sessions: sessionmaker[Session], runner: FlaskCliRunner, fix: Callable[[], None], patience: Patience
) -> None:
    fail(sessions, patience)
    fail(sessions, order_id="ORDER-002")
    fix()

    result = parked(runner, "retry", ORDER_ID)

    assert result.exit_code == 0
    assert result.output.splitlines() == [f"{name}: {ORDER_ID} is projected to version 3" for name in PROJECTORS]
    assert shown(sessions) == {ORDER_ID: 3, "ORDER-002": 1}
    assert parked(runner, "show", ORDER_ID).exit_code == 1


def test_all_parked_orders_are_retried(
    sessions: sessionmaker[Session], runner: FlaskCliRunner, fix: Callable[[], None]
) -> None:
    fail(sessions)
    fail(sessions, order_id="ORDER-002")
    fix()
    store(sessions, "ORDER-002", 4, "OrderLost")

    result = parked(runner, "retry", "--all")

    assert result.exit_code == 1
    assert f"summary: {ORDER_ID} is projected to version 3" in result.output
    assert "details: ORDER-002 stops before version 4: UnknownEventType: " in result.output
    assert shown(sessions) == {ORDER_ID: 3, "ORDER-002": 3}


@pytest.mark.parametrize("arguments", [[], [ORDER_ID, "--all"]], ids=["neither", "both"])
def test_a_retry_needs_one_order_or_all(runner: FlaskCliRunner, arguments: list[str]) -> None:
    result = parked(runner, "retry", *arguments)

    assert result.exit_code == 2
    assert "Error: Name one order, or give --all.\n" in result.output


@pytest.mark.parametrize("command", [["parked", "list"], ["status"], ["verify"]])
def test_a_database_that_is_not_migrated_is_one_sentence(
    sessions: sessionmaker[Session], runner: FlaskCliRunner, command: list[str]
) -> None:
    append_placed(sessions, ORDER_ID)
    run(sessions, "ALTER TABLE projection_failures RENAME TO away")

    result = runner.invoke(args=command)

    why = 'UndefinedTable: relation "projection_failures" does not exist'
    assert result.exit_code == 1
    assert result.output == f"Error: The database is not migrated; run `flask db upgrade`. ({why})\n"
