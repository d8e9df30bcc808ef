"""Logs, stored failures and terminals say what is wrong without customer data."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable

import pytest
from flask.testing import FlaskCliRunner
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from core.command_handler import ConcurrentChange
from core.event_sourcing import codec
from core.logs import JsonLines, PlainLines
from core.orders.errors import OrderNotFound
from core.safe_errors import WITHHELD, describe, trace
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, ORDER_ID, PLACED
from tests.support.failing import AT_ONCE
from tests.support.streams import append

NAME = "山田太郎"

QUOTING: dict[str, Callable[[Session], object]] = {
    "a ValueError": lambda _: int(NAME),
    "a KeyError": lambda _: dict[str, int]()[NAME],
    "pydantic's": lambda _: TypeAdapter(int).validate_python(NAME),
    "a DataError": lambda session: session.execute(text("SELECT CAST(:name AS integer)"), {"name": NAME}),
    "a parameter that cannot be sent": lambda session: session.execute(text("SELECT :name"), {"name": NAME + "\x00"}),
}


@pytest.fixture(params=list(QUOTING.values()), ids=list(QUOTING))
def error(request: pytest.FixtureRequest, sessions: sessionmaker[Session]) -> Exception:
    with sessions.begin() as session:
        try:
            request.param(session)
        except Exception as raised:
            session.rollback()
            return raised
    raise AssertionError("nothing was raised")


def test_log_lines_name_the_kind_and_the_place_and_quote_nothing(error: Exception) -> None:
    record = logging.LogRecord("core", logging.ERROR, __file__, 1, "It failed", (), (type(error), error, None))

    for formatter in (JsonLines(), PlainLines()):
        told = formatter.format(record)
        assert "test_safe_errors.py" in told
        assert describe(error) in told
        assert NAME not in told


def test_an_error_that_nobody_catches_is_a_log_line() -> None:
    program = f"""
from threading import Thread
from core.logs import configure
configure("json", "INFO")
thread = Thread(target=int, args=["{NAME}"])
thread.start()
thread.join()
int("{NAME}")
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    for line in ran.stderr.splitlines():
        assert f"ValueError: {WITHHELD}" in json.loads(line)["exc_info"]
    assert ran.stderr.count("Uncaught error") == 2
    assert NAME not in ran.stderr


def test_the_commands_for_failing_orders_quote_nothing(
    sessions: sessionmaker[Session], runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_: object) -> None:
        raise error

    runner.app.config["PATIENCE"] = AT_ONCE
    monkeypatch.setitem(codec._DECODERS, ("OrderConfirmed", 1), fail)
    append(sessions, [PLACED, LAPTOP_ADDED, CONFIRMED])

    commands = [["catch-up"], ["parked", "list"], ["parked", "show", ORDER_ID], ["parked", "list", "--json"]]
    for command in [*commands, ["parked", "retry", "--all"], ["verify"]]:
        output = runner.invoke(args=command).output
        assert describe(error) in output, command
        assert NAME not in output, command


def test_postgresqls_detail_is_left_out_of_a_whole_chain(sessions: sessionmaker[Session]) -> None:
    insert = text("INSERT INTO order_summary_read_models (order_id, customer_name) VALUES ('A', :name)")
    with pytest.raises(IntegrityError, match=NAME) as refused, sessions.begin() as session:
        session.execute(insert, {"name": NAME})
    error = ConcurrentChange(ORDER_ID)
    error.__cause__ = refused.value

    said = 'null value in column "status" of relation "order_summary_read_models" violates not-null constraint'
    assert f"\nNotNullViolation: {said}\n" in trace(error)
    assert trace(error).endswith(f"\n{describe(error)}\n")
    assert NAME not in trace(error)


def test_messages_that_name_only_ids_and_code_are_kept() -> None:
    assert describe(OrderNotFound(ORDER_ID)) == f"OrderNotFound: There is no order '{ORDER_ID}'."
    assert describe(ConnectionRefusedError(111, "Connection refused")).endswith("Connection refused")
    assert describe(AttributeError("'NoneType' object has no attribute 'version'")).endswith("'version'")
    assert describe(ValueError(NAME)) == f"ValueError: {WITHHELD}"


def test_what_cannot_be_stored_of_an_error_is_replaced() -> None:
    assert describe(OSError("a\x00b\ud800c")) == "OSError: a\ufffdb?c"
    assert trace(OSError("a\x00b\ud800c")).endswith("\nOSError: a\ufffdb?c\n")
