"""The history of the original Rails service moves in, by the commands of docs/from-rails.md."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy.orm import Session, sessionmaker

from core.database import session_factory
from local.servers import PostgresServer, postgres_binary
from tests.support.databases import new_database
from tests.support.examples import CANCELLED, LIFE, ORDER_ID, PLACED
from tests.support.make_run import ROOT
from tests.support.read_side import project_all, rows, value
from tests.support.rebuilding import assert_equal_to_events
from tests.support.streams import append

Sessions = sessionmaker[Session]

PAGE = (ROOT / "docs" / "from-rails.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

# As its migration 20250101000001_create_event_store makes it; the type of `event_data` is left open.
TABLE = """
    CREATE TABLE events (
        id bigserial PRIMARY KEY, aggregate_id varchar NOT NULL, aggregate_type varchar NOT NULL,
        event_type varchar NOT NULL, event_data {type} NOT NULL, version integer NOT NULL,
        occurred_at timestamp(6) NOT NULL, created_at timestamp(6) NOT NULL DEFAULT now()
    )
"""
INSERT = """
    INSERT INTO events (aggregate_id, aggregate_type, event_type, event_data, version, occurred_at)
    VALUES (%s, %s, %s, %s, %s, %s)
"""
ORDER, EVENTS = "Domain::Orders::Order", "Domain::Orders::Events"

# The life of the example order, and a cancelled one: (order, version, type, data, time).
HISTORY: list[tuple[str, int, str, dict[str, Any], str]] = [
    (ORDER_ID, 1, "OrderPlaced", {"customer_name": "山田太郎", "total_amount": 10000, "placed_at": "12:00"}, "12:00"),
    ("A-2", 1, "OrderPlaced", {"customer_name": "山田太郎", "total_amount": "10000.0", "placed_at": "12:00"}, "12:00"),
    (ORDER_ID, 2, "OrderItemAdded", {"product_name": "ノートPC", "quantity": 1, "unit_price": 80000}, "12:01"),
    (ORDER_ID, 3, "OrderItemAdded", {"product_name": "マウス", "quantity": 2, "unit_price": 1500.0}, "12:02"),
    (ORDER_ID, 4, "OrderConfirmed", {"confirmed_at": "12:03"}, "12:03"),
    ("A-2", 2, "OrderCancelled", {"reason": "顧客都合によるキャンセル", "cancelled_at": "12:05"}, "12:05"),
    (ORDER_ID, 5, "OrderShipped", {"tracking_number": "TRACK-12345678", "shipped_at": "12:04"}, "12:04"),
]


def as_json(data: dict[str, Any]) -> str:
    return json.dumps(data)


def with_symbols(data: dict[str, Any]) -> str:
    return json.dumps({f":{key}": value for key, value in data.items()})


def as_hash(data: dict[str, Any]) -> str:
    """As Ruby before 3.4 inspects it, with a time that is no string."""
    pairs = (f":{key}=>{_inspected(key, value)}" for key, value in data.items())
    return f"{{{', '.join(pairs)}}}"


def _inspected(key: str, value: object) -> str:
    return f"{value} UTC" if key.endswith("_at") else json.dumps(value, ensure_ascii=False)


@pytest.fixture
def rails(postgres: PostgresServer) -> Iterator[str]:
    with new_database(postgres) as url:
        yield url


@pytest.fixture
def expected(postgres: PostgresServer, migrated_template: str) -> Iterator[Sessions]:
    """A log to which commands have appended the same history."""
    with new_database(postgres, migrated_template) as url:
        factory = session_factory(url)
        append(factory, LIFE)
        append(factory, [replace(PLACED, order_id="A-2"), replace(CANCELLED, order_id="A-2")], order_id="A-2")
        project_all(factory, ORDER_ID, "A-2")
        yield factory
        factory.kw["bind"].dispose()


def fill_rails(url: str, column: str, form: Any) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(TABLE.format(type=column).encode())
        for order_id, version, kind, data, time in HISTORY:
            full = {"order_id": order_id, **data}
            told = {key: f"2026-01-01 {text}:00" if key.endswith("_at") else text for key, text in full.items()}
            row = (order_id, ORDER, f"{EVENTS}::{kind}", form(told), version, f"2026-01-01 {time}:00")
            connection.execute(INSERT, row)
        other = ("P-1", "Domain::Parcels::Parcel", "Domain::Parcels::Events::ParcelSent", form({}), 1, "2026-01-01")
        connection.execute(INSERT, other)


@pytest.mark.parametrize(
    ("column", "form"),
    [("jsonb", as_json), ("json", with_symbols), ("text", as_hash)],
)
def test_the_commands_of_the_page_move_it(
    app: Flask, sessions: Sessions, rails: str, expected: Sessions, tmp_path: Path, column: str, form: Any
) -> None:
    fill_rails(rails, column, form)
    programs = f"{Path(postgres_binary('psql')).parent}:{Path(sys.executable).parent}"
    environment = {
        **os.environ,
        "RAILS_DATABASE_URL": rails,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "FLASK_APP": "webapp",
        "PYTHONPATH": str(ROOT),
    }

    script = "set -e\n" + "".join(BLOCKS)
    ran = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr
    assert "7 events imported, 0 were there already" in ran.stdout
    assert value(sessions, "SELECT count(*) FROM events") == 7
    assert rows(sessions) == rows(expected)
    assert_equal_to_events(sessions)
    occurred = "SELECT array_agg(to_char(occurred_at, 'HH24:MI') ORDER BY position) FROM events"
    assert value(sessions, occurred) == [time for *_, time in HISTORY]


def row(**changes: object) -> str:
    data = {"order_id": "A", "customer_name": "山田", "total_amount": 1, "placed_at": "2025-01-01 10:00:00"}
    whole = {"aggregate_id": "A", "aggregate_type": ORDER, "event_type": f"{EVENTS}::OrderPlaced", "version": 1}
    return json.dumps({**whole, "event_data": data, "occurred_at": "2025-01-01T10:00:00.123", **changes})


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        ('{"customer_name": "a", "total_amount": 7}', ("a", "7.00", "2025-01-01T10:00:00.123000+00:00")),
        (
            '{customer_name: "a, b: c", total_amount: 1e1, placed_at: 2025-01-01 10:00:00 UTC}',
            ("a, b: c", "10.00", None),
        ),
        ({"customer_name": "a", "total_amount": 0.1}, ("a", "0.10", "2025-01-01T10:00:00.123000+00:00")),
        (
            '{:customer_name=>"a \\"b\\" \\\\ \\e \\#{c} \\u{1F600}, {d}", "total_amount"=>0.1e3, :placed_at=>nil}',
            None,
        ),
        (
            '{:customer_name=>"a \\"b\\" \\\\ \\e \\#{c} \\u{1F600}, {d}", "total_amount"=>0.1e3}',
            ('a "b" \\ \x1b #{c} 😀, {d}', "100.00", "2025-01-01T10:00:00.123000+00:00"),
        ),
        (
            {":customer_name": "a", ":total_amount": "7", ":placed_at": "2025-01-01 10:00:00.5 +0900"},
            ("a", "7.00", "2025-01-01T01:00:00.500000+00:00"),
        ),
        (
            {"customer_name": "a", "total_amount": 7, "placed_at": "2025-01-01 10:00:00.123456789 UTC +00:00"},
            ("a", "7.00", "2025-01-01T10:00:00.123456+00:00"),
        ),
        ({"customer_name": "a", "total_amount": 7, "placed_at": "2025-01-01T10:00:00.000Z"}, ("a", "7.00", None)),
    ],
)
def test_forms_of_event_data(
    sessions: Sessions, runner: FlaskCliRunner, data: object, stored: tuple[str, str, str | None] | None
) -> None:
    result = runner.invoke(args=["events", "import", "-"], input=row(event_data=data))

    assert result.exit_code == (1 if stored is None else 0), result.output
    if stored is None:
        assert "line 1: Placed_at must be a time such as 2025-01-01 10:00:00." in result.stderr
        return
    name, amount, placed_at = stored
    log = value(sessions, "SELECT event_data FROM events")
    assert (log["order_id"], log["customer_name"], log["total_amount"]) == ("A", name, amount)
    assert log["placed_at"] == (placed_at or "2025-01-01T10:00:00+00:00")
    assert value(sessions, "SELECT metadata FROM events") == {"schema_version": 1}


FAULTS: list[tuple[dict[str, object], str]] = [
    ({"aggregate_type": "Domain::Parcels::Parcel"}, "Aggregate_type must be Domain::Orders::Order."),
    ({"event_type": f"{EVENTS}::OrderLost"}, f"Event_type must be {EVENTS}:: and one of OrderPlaced, OrderItem"),
    ({"event_data": {"note": "x"}}, "Event_data must not hold note, which OrderPlaced does not have."),
    ({"event_data": None}, "Event_data must be a JSON object or a Ruby hash."),
    ({"event_data": "{"}, "Event_data must be a JSON object or a Ruby hash."),
    ({"event_data": '{:customer_name=>{:a=>"b"}}'}, "Event_data must be a Ruby hash of names with texts, numbers"),
    ({"event_data": {"total_amount": "much"}}, "Total_amount must be an amount such as 10000 or 10000.0."),
    ({"event_data": {"total_amount": 0.001}}, "Total_amount must have at most two decimal places."),
    ({"event_data": {"total_amount": 1, "placed_at": "noon"}}, "Placed_at must be a time such as 2025-01-01"),
    ({"event_data": {"total_amount": 1}}, "Data must have 'customer_name', as OrderPlaced does."),
    ({"occurred_at": None}, "Occurred_at must be a time such as 2025-01-01 10:00:00."),
    ({"aggregate_id": None}, "Order_id must be 1 to 64 letters"),
    ({"version": "1"}, "Version must be a number."),
]


def test_a_faulty_row_is_named(runner: FlaskCliRunner) -> None:
    for changes, fault in FAULTS:
        result = runner.invoke(args=["events", "import", "-"], input=row(**changes))

        assert result.exit_code == 1, fault
        assert f"line 1: {fault}" in result.stderr


def test_what_the_page_says_of_a_key_that_orderlog_does_not_have_helps(
    app: Flask, runner: FlaskCliRunner, rails: str, tmp_path: Path
) -> None:
    fill_rails(rails, "jsonb", lambda data: as_json({**data, "note": "x"}))
    with psycopg.connect(rails) as connection:
        query = "SELECT to_jsonb(events) #- '{event_data,note}' FROM events WHERE aggregate_type = %s ORDER BY id"
        assert query.partition(" FROM")[0] in PAGE
        lines = [json.dumps(line) for (line,) in connection.execute(query, [ORDER])]

    assert runner.invoke(args=["events", "import", "-"], input="\n".join(lines)).exit_code == 0
