"""Text that was stored before it was checked can neither forge a line nor move the cursor, in terminals and in logs."""

import json
import logging
from dataclasses import replace

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy.orm import Session, sessionmaker

from core.logs import JsonLines, PlainLines
from core.orders.errors import OrderError
from core.safe_errors import describe, escaped, trace
from tests.support.damage import SUMMARY
from tests.support.examples import ORDER_ID, PLACED
from tests.support.read_side import project_all, run, store
from tests.support.streams import append

FORGED = "山田\n0 rows checked, 0 differ in 0 places\r\x1b[2K\x9b1A\x07\u202e\u2066\u2028\t\x7f"
SHOWN = r"山田\u000a0 rows checked, 0 differ in 0 places\u000d\u001b[2K\u009b1A\u0007\u202e\u2066\u2028\u0009\u007f"
OBEYED = set(FORGED) - set("山田0 rows checked, differ in 0 places[2K1A")


def shows_all(said: str) -> bool:
    return not OBEYED.intersection(said.replace("\n", ""))


def test_a_name_cannot_forge_what_verify_says(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    append(sessions, [replace(PLACED, customer_name=FORGED)])
    project_all(sessions, ORDER_ID)
    run(sessions, f"UPDATE {SUMMARY} SET customer_name = 'wrong'")

    for command in (["rebuild", "--dry-run"], ["verify"], ["verify", "--repair"]):
        said = runner.invoke(args=command).output
        assert f"summary: {ORDER_ID} customer_name: stored wrong, events say {SHOWN}" in said.split("\n")
        assert not any(line.startswith("0 rows checked") for line in said.split("\n")), said
        assert shows_all(said)


def test_nor_can_the_name_of_a_key(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    name = FORGED.replace("'", "''")
    run(
        sessions,
        f"INSERT INTO api_keys (id, name, secret_hash, scopes, created_at) VALUES ('1', '{name}', '', '{{}}', now())",
    )

    [line, end] = runner.invoke(args=["api-keys", "list"]).output.split("\n")
    assert SHOWN in line
    assert end == ""
    listed = runner.invoke(args=["api-keys", "list", "--json"]).output
    assert shows_all(listed)
    assert [key["name"] for key in json.loads(listed)] == [FORGED]
    assert shows_all(runner.invoke(args=["status"]).output)


def test_nor_can_why_an_order_is_parked(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    store(sessions, ORDER_ID, 1, f"OrderRefunded{FORGED}")
    assert shows_all(runner.invoke(args=["catch-up"]).output)
    run(
        sessions,
        "UPDATE projection_failures"
        " SET next_attempt_at = NULL, error = error || E'\\x1b[2K', traceback = traceback || E'\\u202e'",
    )

    for command in (["parked", "list"], ["parked", "show", ORDER_ID], ["parked", "retry", "--all"], ["verify"]):
        said = runner.invoke(args=command).output
        assert "OrderRefunded" in said, command
        assert not any(line.startswith("0 rows checked, 0 differ in 0 places\\u") for line in said.split("\n")), said
        assert shows_all(said), command


@pytest.mark.parametrize("formatter", [JsonLines(), PlainLines()])
def test_a_log_line_is_one_line(formatter: logging.Formatter) -> None:
    record = logging.LogRecord("core", logging.WARNING, __file__, 1, "Order of %s", (FORGED,), None)

    told = formatter.format(record)

    assert "\n" not in told
    assert shows_all(told)
    if isinstance(formatter, JsonLines):
        assert json.loads(told)["message"] == f"Order of {FORGED}"


@pytest.mark.parametrize("formatter", [JsonLines(), PlainLines()])
def test_an_error_forges_no_line(formatter: logging.Formatter) -> None:
    error = OrderError(FORGED)
    record = logging.LogRecord("core", logging.ERROR, __file__, 1, "Failed", (), (OrderError, error, None))

    assert describe(error) == f"OrderError: {SHOWN}"
    assert f"OrderError: {SHOWN}" in trace(error).split("\n")
    assert shows_all(formatter.format(record))


def test_what_people_write_is_left_as_it_is() -> None:
    for text in ("山田　太郎", "👩\u200d👧 family", "Zoë O'Brien-Ōtani", "a\u00a0b", "\\n"):
        assert escaped(text) == text
