"""`flask events tail`: the log for a person to watch, at a terminal and in pipes."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import IO

import psycopg
import pytest
from click.testing import Result
from flask.testing import FlaskCliRunner
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing.event_store import NewEvent
from core.event_sourcing.postgres_store import PostgresEventStore
from local.servers import PostgresServer
from tests.integration.test_escaped_text import FORGED, SHOWN, shows_all
from tests.support.examples import CANCELLED, LATER, LIFE, NOON, ORDER_ID, PLACED
from tests.support.make_run import ROOT
from tests.support.read_side import append_placed, store
from tests.support.streams import append
from tests.support.waiting import wait_until

Sessions = sessionmaker[Session]

LINES = [
    "2026-01-01 12:00:00  ORDER-001 1  Order placed for 山田太郎, total amount 10,000.00.",
    "2026-01-01 12:00:00  ORDER-001 2  1 x ノートPC at 80,000.00 added.",
    "2026-01-01 12:00:00  ORDER-001 3  2 x マウス at 1,500.00 added.",
    "2026-01-01 12:00:00  ORDER-001 4  Order confirmed.",
    "2026-01-01 12:00:00  ORDER-001 5  Order shipped under tracking number TRACK-12345678.",
    "2026-01-01 12:05:00  A-2 1  Order placed for 山田太郎, total amount 10,000.00.  shop",
    "2026-01-01 12:05:00  A-2 2  Order cancelled: 顧客都合によるキャンセル.  shop",
]


@pytest.fixture
def two_orders(sessions: Sessions) -> None:
    append(sessions, LIFE)
    with sessions.begin() as session:
        new = [NewEvent(event=event, occurred_at=LATER, metadata={"actor": "shop"}) for event in (PLACED, CANCELLED)]
        PostgresEventStore(driver_connection(session)).append("A-2", 0, new)


def tail(runner: FlaskCliRunner, *options: str) -> Result:
    return runner.invoke(args=["events", "tail", *options])


@pytest.mark.usefixtures("two_orders")
@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], LINES),
        (["--last", "2"], LINES[-2:]),
        (["--last", "0"], []),
        (["--order", "A-2"], LINES[5:]),
        (["--order", ORDER_ID, "--last", "1"], LINES[4:5]),
        (["--order", "ORDER-404"], []),
        (["--type", "OrderPlaced", "--type", "OrderShipped"], [LINES[0], LINES[4], LINES[5]]),
        (["--type", "OrderPlaced", "--last", "1"], LINES[5:6]),
        (["--type", "OrderPlaced", "--order", "A-2"], LINES[5:6]),
        (["--since", "2026-01-01T12:05"], LINES[5:]),
        (["--since", "2026-01-01T21:05+09:00", "--type", "OrderCancelled"], LINES[6:]),
        (["--since", "2025-12-31"], LINES),
    ],
)
def test_which_events_it_shows(runner: FlaskCliRunner, options: list[str], shown: list[str]) -> None:
    result = tail(runner, *options)

    assert (result.exit_code, result.stderr, result.stdout.splitlines()) == (0, "", shown)


@pytest.mark.usefixtures("two_orders")
def test_as_json_it_shows_cloud_events_with_the_cursor_to_go_on_from(runner: FlaskCliRunner) -> None:
    events = [json.loads(line) for line in tail(runner, "--json").stdout.splitlines()]

    assert [event["id"] for event in events] == [*(f"{ORDER_ID}/{number}" for number in range(1, 6)), "A-2/1", "A-2/2"]
    assert events[5]["actor"] == "shop"
    assert tail(runner, "--since", events[3]["cursor"]).stdout.splitlines() == LINES[4:]
    assert tail(runner, "--since", events[6]["cursor"]).stdout == ""


@pytest.mark.parametrize("since", ["yesterday", "", "2026-13-01", "MS4yLjM"])
def test_neither_a_time_nor_a_cursor_is_an_error(runner: FlaskCliRunner, since: str) -> None:
    result = tail(runner, "--since", since)

    assert result.exit_code == 2
    assert "Invalid value for --since: neither a time nor a cursor" in result.stderr


def test_a_cursor_of_another_log_is_an_error(sessions: Sessions, runner: FlaskCliRunner) -> None:
    append_placed(sessions, ORDER_ID)
    cursor = json.loads(tail(runner, "--json").stdout)["cursor"]
    with psycopg.connect(url(sessions)) as owner:
        owner.execute("ALTER TABLE events DISABLE TRIGGER ALL")
        owner.execute("DELETE FROM events")

    result = tail(runner, "--since", cursor)

    assert (result.exit_code, result.stderr.splitlines()) == (
        1,
        ["Error: The event that the cursor stands on is not in the log: a backup from before it was restored."],
    )


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_stored_text_can_neither_forge_a_line_nor_move_the_cursor(
    sessions: Sessions, runner: FlaskCliRunner, options: list[str]
) -> None:
    placed = NewEvent(event=replace(PLACED, customer_name=FORGED), occurred_at=NOON, metadata={"actor": FORGED})
    with sessions.begin() as session:
        PostgresEventStore(driver_connection(session)).append(ORDER_ID, 0, [placed])

    [line, end] = tail(runner, *options).stdout.split("\n")

    assert end == ""
    assert shows_all(line)
    if options:
        assert json.loads(line)["data"]["customer_name"] == FORGED
    else:
        assert line.endswith(f"Order placed for {SHOWN}, total amount 10,000.00.  {SHOWN}")


def test_an_event_that_this_release_cannot_read_is_shown_as_such(sessions: Sessions, runner: FlaskCliRunner) -> None:
    store(sessions, ORDER_ID, 1, "OrderPacked")

    result = tail(runner)

    assert result.exit_code == 0
    assert "ORDER-001 1  This release cannot read events of type 'OrderPacked', schema version 1." in result.stdout
    assert tail(runner, "--json").exit_code == 1


# With a real process.

TAIL = [sys.executable, "-m", "flask", "events", "tail"]


class Shown:
    """What somebody reads from the other end, line by line."""

    def __init__(self, reader: IO[bytes]) -> None:
        self.text = ""
        self._reader = reader
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError, ValueError):  # a terminal nobody else has any more
            for line in self._reader:
                self.text += line.decode()


@contextmanager
def at_a_terminal(*options: str) -> Iterator[tuple["subprocess.Popen[bytes]", Shown]]:
    terminal, other_end = pty.openpty()
    with (
        os.fdopen(terminal, "rb", buffering=0) as reader,
        subprocess.Popen(
            [*TAIL, *options], cwd=ROOT, stdin=other_end, stdout=other_end, stderr=other_end, start_new_session=True
        ) as process,
    ):
        os.close(other_end)
        yield process, Shown(reader)
        process.kill()


@pytest.mark.usefixtures("app")
def test_at_a_terminal_it_follows_in_colour_and_ends_quietly_on_ctrl_c(sessions: Sessions) -> None:
    append(sessions, LIFE[:1])
    with at_a_terminal("--follow") as (process, shown):
        wait_until(lambda: "Order placed" in shown.text)
        assert "\x1b[" in shown.text
        append(sessions, LIFE[1:], after=1)
        wait_until(lambda: "TRACK-12345678" in shown.text)
        lines = shown.text.count("\n")

        process.send_signal(signal.SIGINT)

        assert process.wait(30) == 0
        assert shown.text.count("\n") == lines == 5
        assert "Aborted" not in shown.text


@pytest.mark.usefixtures("app")
def test_in_a_pipe_it_has_no_colours_and_ends_quietly_when_nobody_reads(sessions: Sessions) -> None:
    append(sessions, LIFE)
    with subprocess.Popen([*TAIL, "--follow"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert [process.stdout.readline().decode().rstrip() for _ in LIFE] == LINES[:5]

        process.stdout.close()  # nothing more comes that would tell it so

        assert process.wait(30) == 0
        assert process.stderr.read() == b""


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_has_enough_ends_it_quietly(sessions: Sessions, options: list[str]) -> None:
    append(sessions, [PLACED, *[LIFE[1]] * 5_000])
    command = [*TAIL, "--since", "2025-01-01", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()

        assert process.wait(30) == 0
        assert process.stderr.read() == b""


@pytest.mark.usefixtures("app")
def test_it_goes_on_when_the_database_is_back(sessions: Sessions, postgres: PostgresServer) -> None:
    append(sessions, LIFE[:1])
    name = sessions.kw["bind"].url.database
    with at_a_terminal("--follow") as (_, shown), psycopg.connect(postgres.superuser_url, autocommit=True) as server:
        wait_until(lambda: "Order placed" in shown.text)
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
        server.execute(end, [name])
        wait_until(lambda: "The database is away; trying again." in shown.text)

        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
        append(sessions, LIFE[1:], after=1)

        wait_until(lambda: "TRACK-12345678" in shown.text)
        assert shown.text.count("trying again") == 1
        assert "Traceback" not in shown.text


def url(sessions: Sessions) -> str:
    return str(sessions.kw["bind"].url.set(drivername="postgresql").render_as_string(hide_password=False))
