"""`flask events export` and `import`: the whole log in a file, and a file taken whole or not at all."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskCliRunner
from psycopg.errors import UniqueViolation
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection, session_factory
from core.event_sourcing.event_store import NewEvent
from core.event_sourcing.postgres_store import PostgresEventStore
from core.event_sourcing.transfer import Import, importing
from local.servers import PostgresServer, ValkeyServer
from tests.conftest import make_app
from tests.support.databases import new_database
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, LATER, LIFE, ORDER_ID, PLACED, SHIPPED
from tests.support.make_run import ROOT
from tests.support.read_side import append_placed, rows, value
from tests.support.rebuilding import assert_equal_to_events, fill
from tests.support.streams import append
from tests.support.waiting import wait_until

Sessions = sessionmaker[Session]
Line = dict[str, Any]

STORED = """
    SELECT aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at FROM events
    ORDER BY epoch, transaction_id, position
"""


@pytest.fixture
def elsewhere(postgres: PostgresServer, migrated_template: str) -> Iterator[Sessions]:
    """A migrated, empty database beside that of `sessions`."""
    with new_database(postgres, migrated_template) as url:
        factory = session_factory(url)
        yield factory
        factory.kw["bind"].dispose()


@pytest.fixture
def there(elsewhere: Sessions, valkey: ValkeyServer) -> FlaskCliRunner:
    """Runs commands on the database `elsewhere`."""
    url = elsewhere.kw["bind"].url.render_as_string(hide_password=False)
    return make_app(url, valkey.url).test_cli_runner()


def exported(runner: FlaskCliRunner) -> bytes:
    result = runner.invoke(args=["events", "export", "-"])
    assert result.exit_code == 0, result.output
    return result.stdout_bytes


def imported(runner: FlaskCliRunner, file: bytes) -> Result:
    return runner.invoke(args=["events", "import", "-"], input=file)


def stored(sessions: Sessions) -> list[tuple[Any, ...]]:
    with sessions.begin() as session:
        return [tuple(row) for row in session.execute(text(STORED))]


def caught_up(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["catch-up"])
    assert result.exit_code == 0, result.output


def two_orders(sessions: Sessions) -> None:
    """Whose events were stored in turn, with metadata."""
    append(sessions, LIFE[:2])
    append(sessions, [replace(PLACED, order_id="ORDER-000")], order_id="ORDER-000")
    with sessions.begin() as session:
        told = {"actor": "shop", "correlation_id": "c-1"}
        new = [NewEvent(event=event, occurred_at=LATER, metadata=told) for event in LIFE[2:]]
        PostgresEventStore(driver_connection(session)).append(ORDER_ID, 2, new)


# Out and in again.


def test_an_export_taken_in_elsewhere_is_the_same_log(
    sessions: Sessions, runner: FlaskCliRunner, elsewhere: Sessions, there: FlaskCliRunner
) -> None:
    two_orders(sessions)
    file = exported(runner)

    result = imported(there, file)

    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "6 events imported, 0 were there already")
    assert stored(elsewhere) == stored(sessions)
    assert exported(there) == file
    caught_up(runner)
    caught_up(there)
    assert rows(elsewhere) == rows(sessions)
    assert_equal_to_events(elsewhere)


def test_a_line_holds_what_the_log_holds(sessions: Sessions, runner: FlaskCliRunner) -> None:
    two_orders(sessions)

    first, *lines = exported(runner).splitlines()

    assert json.loads(first) == {"events": 6}
    assert [(line["order_id"], line["version"]) for line in map(json.loads, lines)] == [
        (ORDER_ID, 1), (ORDER_ID, 2), ("ORDER-000", 1), (ORDER_ID, 3), (ORDER_ID, 4), (ORDER_ID, 5),
    ]  # fmt: skip
    assert json.loads(lines[3]) == {
        "order_id": ORDER_ID,
        "version": 3,
        "type": "OrderItemAdded",
        "schema_version": 1,
        "data": {
            "order_id": ORDER_ID,
            "product_name": "マウス",
            "quantity": 2,
            "unit_price": "1500.00",
            "added_at": "2026-01-01T12:02:00+00:00",
        },
        "metadata": {"actor": "shop", "correlation_id": "c-1"},
        "occurred_at": "2026-01-01T12:05:00+00:00",
    }


def test_an_export_is_of_one_moment(sessions: Sessions, runner: FlaskCliRunner, tmp_path: Path) -> None:
    """What is stored while it runs is not in it, and its first line is right."""
    fill(sessions, 2_500)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen([*FLASK, "export", str(pipe)], cwd=ROOT) as process, pipe.open("rb") as reader:
        first = reader.readline()
        append_placed(sessions, "LATER")
        rest = reader.read()
    assert process.returncode == 0

    assert json.loads(first) == {"events": 10_000}
    assert rest.count(b"\n") == 10_000
    assert b"LATER" not in rest


def test_an_import_may_run_twice(sessions: Sessions, runner: FlaskCliRunner, there: FlaskCliRunner) -> None:
    two_orders(sessions)
    file = exported(runner)

    results = [imported(there, file), imported(there, file), imported(runner, file)]

    assert [result.stdout.splitlines()[0] for result in results] == [
        "6 events imported, 0 were there already",
        "0 events imported, 6 were there already",
        "0 events imported, 6 were there already",
    ]


def test_an_order_goes_on_where_the_log_ends(sessions: Sessions, runner: FlaskCliRunner, there: FlaskCliRunner) -> None:
    append(sessions, LIFE[:2])
    imported(there, exported(runner))
    append(sessions, LIFE[2:], after=2)
    *_, fourth, fifth = file = exported(runner).splitlines(keepends=True)

    assert imported(there, fourth).exit_code == 1  # version 3 is missing
    assert "3 events imported, 2 were there already" in imported(there, b"".join(file)).stdout
    assert "0 events imported, 1 were there already" in imported(there, fifth).stdout


def test_orders_may_be_mixed_and_files_joined(
    sessions: Sessions, runner: FlaskCliRunner, elsewhere: Sessions, there: FlaskCliRunner
) -> None:
    two_orders(sessions)
    lines = exported(runner).splitlines(keepends=True)[1:]
    joined = b'{"events": 1}\n' + lines[2] + b'\n{"events": 5}\n' + b"".join(lines[:2] + lines[3:]) + b"\n"

    assert imported(there, joined).exit_code == 0
    assert stored(elsewhere)[0][0] == "ORDER-000"


# Faults.


def lines_of(*changes: Line | bytes) -> bytes:
    """The life of the example order as an export has it, each line changed so."""
    data: list[Line] = [
        {"customer_name": "山田太郎", "total_amount": "10000.00", "placed_at": "2026-01-01T12:00:00+00:00"},
        {"product_name": "ノートPC", "quantity": 1, "unit_price": "80000.00", "added_at": "2026-01-01T12:01:00+00:00"},
        {"confirmed_at": "2026-01-01T12:03:00+00:00"},
        {"tracking_number": "TRACK-1", "shipped_at": "2026-01-01T12:04:00+00:00"},
    ]
    lines = []
    for number, (kind, change) in enumerate(
        zip(["Placed", "ItemAdded", "Confirmed", "Shipped"], changes, strict=False)
    ):
        if isinstance(change, bytes):
            lines.append(change)
            continue
        line: Line = {
            "order_id": ORDER_ID,
            "version": number + 1,
            "type": f"Order{kind}",
            "schema_version": 1,
            "data": {"order_id": ORDER_ID, **data[number]} | change.pop("data", {}),
            "metadata": {"actor": "shop"},
            "occurred_at": f"2026-01-01T12:0{number}:00+00:00",
        }
        lines.append(json.dumps({**line, **change}).encode())
    return b"\n".join(lines) + b"\n"


def test_the_lines_that_the_faults_are_put_into_have_none(runner: FlaskCliRunner) -> None:
    assert imported(runner, lines_of({}, {}, {}, {})).exit_code == 0


FAULTS: list[tuple[list[Line | bytes], str]] = [
    ([{}, b"{"], "line 2: The line must be a JSON object."),
    ([{}, b"[" * 100_000], "line 2: The line must be a JSON object."),
    ([{}, b"7"], "line 2: The line must be a JSON object."),
    ([{}, b"\xff\xfe{}"], "line 2: The line must be a JSON object."),
    ([{}, b"x" * 1_000_001], "line 2: The line must be shorter than 1000000 bytes."),
    ([b'{"order_id": "A"}'], "line 1: Version is missing."),
    ([{"note": "x"}], "line 1: Note must not be there."),
    ([{"order_id": "a/b"}], "line 1: Order_id must be 1 to 64 letters"),
    ([{"version": 0}], "line 1: Version must be a whole number from 1 to"),
    ([{"version": True}], "line 1: Version must be a number."),
    ([{"version": 2**31}], "line 1: Version must be a whole number from 1 to 2147483647."),
    ([{"schema_version": "1"}], "line 1: Schema_version must be a number."),
    ([{"schema_version": 7}], "line 1: This release cannot read events of type 'OrderPlaced', schema version 7."),
    ([{"type": "OrderLost"}], "line 1: This release cannot read events of type 'OrderLost', schema version 1."),
    ([{"type": "Order\0"}], "line 1: Type must not contain NUL characters"),
    ([{"data": {"total_amount": 1.5}}], "line 1: Data.total_amount must be a string."),
    ([{"data": {"customer_name": "a\0"}}], "line 1: Data.customer_name must not contain NUL characters"),
    ([{"data": {"customer_name": "\ud800"}}], "line 1: Data.customer_name must not contain NUL characters or lone"),
    ([{"data": {"a\0": 1}}], "line 1: Data must not contain NUL characters"),
    ([{"metadata": []}], "line 1: Metadata must be a JSON object."),
    ([{"metadata": {"actor": 5}}], "line 1: Metadata.actor must be a string."),
    ([{"metadata": {"actor": None}}], "line 1: Metadata.actor must be a string."),
    ([{"occurred_at": "2026-01-01T12:00:00"}], "line 1: Occurred_at must be a time with its zone, such as"),
    ([{"occurred_at": "0001-01-01T00:00:00+14:00"}], "line 1: Occurred_at must be a time with its zone, such as"),
    ([{"data": {"customer_name": 5}}], "line 1: Customer_name must be a string."),
    ([{"data": {"customer_name": " "}}], "line 1: Customer_name must not be blank."),
    ([{"data": {"customer_name": "a" * 201}}], "line 1: Customer_name must be at most 200 characters long."),
    ([{"data": {"total_amount": "0.00"}}], "line 1: Total_amount must be greater than 0."),
    ([{"data": {"total_amount": "NaN"}}], "line 1: Total_amount must be a finite number."),
    ([{"data": {"total_amount": "1e999999"}}], "line 1: Total_amount must be from 0 to 999999999999.99."),
    ([{"data": {"total_amount": "0.001"}}], "line 1: Total_amount must have at most two decimal places."),
    ([{}, {"data": {"unit_price": "1E+3"}}], "line 2: Data.unit_price must be written as OrderItemAdded is exported, "),
    ([{}, {"data": {"unit_price": "1_000.00"}}], "line 2: Data.unit_price must be written as OrderItemAdded is"),
    ([{}, {"data": {"added_at": "2026-01-01T12:01Z"}}], "line 2: Data.added_at must be written as OrderItemAdded is"),
    ([{}, {"data": {"note": "x"}}], "line 2: Data must not hold note, which OrderItemAdded does not have."),
    ([{"data": {"total_amount": "much"}}], "line 1: Data must hold amounts and times as OrderPlaced does."),
    ([{"data": {"placed_at": "noon"}}], "line 1: Data must hold amounts and times as OrderPlaced does."),
    ([{"data": {"placed_at": 5}}], "line 1: Data must hold amounts and times as OrderPlaced does."),
    ([{"data": {"placed_at": "2026-01-01T12:00:00"}}], "line 1: Data must have times with their zone."),
    ([{"type": "OrderShipped"}], "line 1: Data must have 'tracking_number', as OrderShipped does."),
    ([{"data": {"order_id": "ORDER-002"}}], "line 1: Data must be of the order that the line names."),
    ([{"version": 2}], "line 1: Event 2 of ORDER-001 cannot follow event 0; OrderPlaced comes first and only"),
    ([{}, {"version": 1}], "line 2: Event 1 of ORDER-001 cannot follow event 1; OrderPlaced comes first and only"),
    ([{}, {"version": 3}], "line 2: Event 3 of ORDER-001 cannot follow event 1; OrderPlaced comes first and only"),
    ([{"version": 2}, {"version": 1}], "line 2: Event 1 of ORDER-001 cannot follow event 0; OrderPlaced comes"),
    ([{}, {"data": {"quantity": 0}}], "line 2: Quantity must be a whole number from 1 to 1000000."),
    ([{}, {"data": {"quantity": "1"}}], "line 2: Quantity must be a number."),
    ([{}, {"data": {"unit_price": "-1"}}], "line 2: Unit_price must be from 0 to 999999999999.99."),
    (
        [{}, {"occurred_at": "2026-01-01T11:59:00+00:00"}],
        "line 2: Occurred_at and the time in data must not be before those of the version before.",
    ),
    (
        [{}, {"data": {"added_at": "2026-01-01T11:59:00+00:00"}}],
        "line 2: Occurred_at and the time in data must not be before those of the version before.",
    ),
]


def test_a_faulty_line_is_named(sessions: Sessions, runner: FlaskCliRunner) -> None:
    for changes, fault in FAULTS:
        result = imported(runner, lines_of(*changes))

        assert result.exit_code == 1, fault
        assert result.stderr.splitlines()[-2].startswith(fault)
        assert result.stderr.splitlines()[-1] == "Error: Nothing was imported. Faults: 1.", fault
    assert stored(sessions) == []


def test_an_empty_file_is_a_fault(runner: FlaskCliRunner) -> None:
    assert imported(runner, b"").stderr.startswith("line 1: The file is empty.\nError: ")


def test_every_faulty_line_is_named(sessions: Sessions, runner: FlaskCliRunner) -> None:
    file = lines_of({}, {"data": {"quantity": 0}}, b"{", {"data": {"tracking_number": ""}})

    result = imported(runner, file)

    assert result.stderr.splitlines()[-4:] == [
        "line 2: Quantity must be a whole number from 1 to 1000000.",
        "line 3: The line must be a JSON object.",
        f"line 4: Event 4 of {ORDER_ID} cannot follow event 2; OrderPlaced comes first and only first.",
        "Error: Nothing was imported. Faults: 3.",
    ]


def test_of_many_faults_the_first_are_named(runner: FlaskCliRunner) -> None:
    result = imported(runner, b"{\n" * 100)

    assert result.stderr.count("The line must be a JSON object.") == 20
    assert result.stderr.splitlines()[-1] == "Error: Nothing was imported. Faults: 20; there may be more."


def test_what_an_order_would_refuse_is_a_fault(runner: FlaskCliRunner) -> None:
    shipped_before = lines_of({}, {}, {"type": "OrderShipped", "data": {"tracking_number": "T"}}).replace(
        b"confirmed_at", b"shipped_at"
    )

    result = imported(runner, shipped_before)

    assert f"line 3: Order {ORDER_ID} is pending; only a confirmed order can be shipped." in result.stderr


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"data": {"customer_name": "Zoë"}}, "data"),
        ({"metadata": {"actor": "x"}, "occurred_at": "2026-01-01T12:00:01+00:00"}, "metadata and occurred_at"),
    ],
)
def test_an_event_that_the_log_has_otherwise_is_a_fault(
    sessions: Sessions, runner: FlaskCliRunner, change: Line, differs: str
) -> None:
    assert imported(runner, lines_of({})).exit_code == 0
    before = stored(sessions)

    result = imported(runner, lines_of(change, {}))

    assert result.exit_code == 1
    assert f"line 1: Version 1 of order {ORDER_ID} is in the log already, with another {differs}." in result.stderr
    assert stored(sessions) == before


def test_a_file_that_was_cut_off_is_refused(sessions: Sessions, runner: FlaskCliRunner, there: FlaskCliRunner) -> None:
    two_orders(sessions)
    file = exported(runner)

    result = imported(there, file[: file.rindex(b"\n", 0, -1) + 1])

    assert result.exit_code == 1
    assert "line 1: 6 events must follow, and 5 do: the file is not whole." in result.stderr


def test_facts_from_before_a_rule_for_text_are_taken(
    sessions: Sessions, runner: FlaskCliRunner, elsewhere: Sessions, there: FlaskCliRunner
) -> None:
    append(sessions, [replace(PLACED, customer_name="山田\x1b[2K\u202e太郎")])

    assert imported(there, exported(runner)).exit_code == 0

    assert stored(elsewhere) == stored(sessions)
    caught_up(there)
    assert_equal_to_events(elsewhere)


def test_an_order_with_more_items_than_new_ones_may_have_is_taken(
    sessions: Sessions, runner: FlaskCliRunner, elsewhere: Sessions, there: FlaskCliRunner
) -> None:
    append(sessions, [PLACED, *[LAPTOP_ADDED] * 1001, CONFIRMED, SHIPPED])

    assert imported(there, exported(runner)).exit_code == 0
    assert value(elsewhere, "SELECT count(*) FROM events") == 1004


# While everything runs.


def begun(engine: Engine, file: bytes, tmp_path: Path) -> Iterator[Import]:
    path = tmp_path / "file"
    path.write_bytes(file)
    with importing(engine) as incoming, path.open("rb") as opened:
        incoming.read(opened, lambda *_: None)
        incoming.check(lambda *_: None)
        yield incoming


def test_a_command_that_comes_between_makes_it_fail(sessions: Sessions, runner: FlaskCliRunner, tmp_path: Path) -> None:
    append(sessions, LIFE[:2])
    file = exported(runner).splitlines(keepends=True)
    more = lines_of({}, {}, {}, {}).splitlines(keepends=True)[2:]
    for incoming in begun(sessions.kw["bind"], b"".join([*file[1:], *more]), tmp_path):
        append(sessions, [LIFE[2]], after=2)
        with pytest.raises(UniqueViolation):
            incoming.append()

    assert len(stored(sessions)) == 3


def test_nothing_that_reads_settled_events_waits_before_it_appends(sessions: Sessions, tmp_path: Path) -> None:
    for _ in begun(sessions.kw["bind"], lines_of({}, {}, {}), tmp_path):
        assert value(sessions, "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL") == 0
        assert value(sessions, "SELECT pg_snapshot_xmin(s) = pg_snapshot_xmax(s) FROM pg_current_snapshot() AS s")


def test_a_broken_off_import_leaves_nothing(sessions: Sessions, tmp_path: Path) -> None:
    for _ in begun(sessions.kw["bind"], lines_of({}, {}, {}), tmp_path):
        pass

    assert stored(sessions) == []


FLASK = [sys.executable, "-m", "flask", "events"]


def test_ctrl_c_while_lines_come_changes_nothing(app: Flask, sessions: Sessions) -> None:
    with subprocess.Popen([*FLASK, "import", "-"], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"\n" + lines_of({}, {}))
        process.stdin.flush()
        wait_until(lambda: value(sessions, "SELECT count(*) FROM pg_class WHERE relname = 'incoming'"))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()

    assert process.returncode == 1
    assert b"Aborted!" in said
    assert b"Traceback" not in said
    assert stored(sessions) == []


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 1), (signal.SIGKILL, -9)])
def test_an_export_that_is_stopped_leaves_no_file(
    app: Flask, sessions: Sessions, tmp_path: Path, sent: signal.Signals, status: int
) -> None:
    fill(sessions, 10)
    target = tmp_path / "log.ndjson"
    target.write_text("the last one")
    with psycopg.connect(sessions.kw["bind"].url.set(drivername="postgresql").render_as_string(False)) as holder:
        holder.execute("LOCK TABLE events")  # the export waits
        with subprocess.Popen([*FLASK, "export", str(target)], cwd=ROOT, stderr=subprocess.PIPE) as process:
            wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
            process.send_signal(sent)
            process.communicate()

    assert process.returncode == status
    assert target.read_text() == "the last one"
    assert len(list(tmp_path.iterdir())) == (1 if sent == signal.SIGINT else 2)


def test_only_its_owner_may_read_an_export(sessions: Sessions, runner: FlaskCliRunner, tmp_path: Path) -> None:
    two_orders(sessions)
    target = tmp_path / "log.ndjson"

    result = runner.invoke(args=["events", "export", str(target)])

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "6 events exported\n")
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.read_bytes() == exported(runner)
    assert list(tmp_path.iterdir()) == [target]
    assert runner.invoke(args=["events", "import", str(target)]).exit_code == 0


@pytest.mark.parametrize("command", ["export", "import"])
def test_a_file_that_cannot_be_opened_is_one_sentence(runner: FlaskCliRunner, command: str, tmp_path: Path) -> None:
    path = tmp_path / "none" / "log.ndjson"

    result = runner.invoke(args=["events", command, str(path)])

    assert (result.exit_code, result.output) == (1, f"Error: {path}: No such file or directory\n")


def test_a_reader_that_has_enough_ends_an_export(app: Flask, sessions: Sessions) -> None:
    fill(sessions, 2_500)
    with subprocess.Popen([*FLASK, "export", "-"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b'{"events": 10000}\n'
        process.stdout.close()
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


MEASURE = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "flask", "events", *sys.argv[1:]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def test_ten_times_the_events_need_hardly_more_memory(
    app: Flask, sessions: Sessions, elsewhere: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def peak(*command: str) -> float:
        """Of the memory of such a process, in megabytes."""
        measured = subprocess.run([sys.executable, "-c", MEASURE, *command], cwd=ROOT, capture_output=True, check=True)
        return float(measured.stdout.splitlines()[-1])

    peaks = []
    for orders, more in ((500, 500), (5_000, 4_500)):
        fill(sessions, more, after=orders - more)
        monkeypatch.setenv("DATABASE_URL", sessions.kw["bind"].url.render_as_string(hide_password=False))
        exporting = peak("export", str(tmp_path / "log"))
        monkeypatch.setenv("DATABASE_URL", elsewhere.kw["bind"].url.render_as_string(hide_password=False))
        peaks.append((exporting, peak("import", str(tmp_path / "log"))))

    assert value(elsewhere, "SELECT count(*) FROM events") == 20_000
    print(f"export and import, MB: {peaks}")
    (few_out, few_in), (many_out, many_in) = peaks
    assert many_out < few_out + 20
    assert many_in < few_in + 20
