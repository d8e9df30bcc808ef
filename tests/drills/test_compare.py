"""The comparison finds each kind of damage, and nothing where there is none."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from core.database import session_factory
from core.event_sourcing import repository
from core.projection.project import project
from core.read_models.wiring import PROJECTORS
from local.servers import PostgresServer
from tests.drills.compare import Findings, compare, orders_behind
from tests.drills.journal import Journal
from tests.support.databases import new_database
from tests.support.examples import ADD_LAPTOP, ADD_MICE, CONFIRM, NOON, ORDER_ID, PLACE, SHIP
from tests.support.streams import handle

TAGS = ["山田太郎", "ノートPC", "マウス", f"{ORDER_ID} confirmed", "TRACK-12345678"]
KINDS = ("lost", "unasked", "gaps", "duplicated", "differences", "statistics", "snapshots")
COMMANDS = (PLACE, ADD_LAPTOP, ADD_MICE, CONFIRM, SHIP)

COPY_EVENT = """
    INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
    SELECT aggregate_id, aggregate_type, {version}, event_type, event_data || '{data}', metadata, occurred_at
    FROM events WHERE version = 3
"""
COUNT = "INSERT INTO order_statistics (status, orders, amount, folded) VALUES ('{}', {}, {}, false)"
SET_STATE = """UPDATE order_snapshots SET state = jsonb_set(state, '{{{}}}', '{}')"""
DAMAGE = {
    "a command stored twice": (COPY_EVENT.format(version=6, data="{}"), {"unasked", "differences"}),
    "an event of no command": (COPY_EVENT.format(version=6, data='{"product_name": "?"}'), {"unasked", "differences"}),
    "a version left out": (COPY_EVENT.format(version=7, data="{}"), {"unasked", "gaps", "differences"}),
    "an item shown twice": (
        """INSERT INTO order_item_read_models SELECT order_id, 9, product_name, quantity, unit_price, subtotal
           FROM order_item_read_models WHERE version = 2""",
        {"duplicated"},
    ),
    "a sum too high": ("UPDATE order_details_read_models SET items_total = items_total + 1", {"duplicated"}),
    "a sum too low": ("UPDATE order_details_read_models SET items_total = items_total - 1", {"differences"}),
    "a wrong quantity": ("UPDATE order_item_read_models SET quantity = 7 WHERE version = 3", {"differences"}),
    "an item left out": ("DELETE FROM order_item_read_models WHERE version = 3", {"differences"}),
    "a wrong field": ("UPDATE order_summary_read_models SET tracking_number = 'T'", {"differences"}),
    "an earlier version": ("UPDATE order_details_read_models SET version = 4", {"differences"}),
    "a row left out": ("DELETE FROM order_summary_read_models", {"differences"}),
    "a row of no order": ("UPDATE order_summary_read_models SET order_id = 'X'", {"differences"}),
    "a change counted twice": (COUNT.format("shipped", 1, 10000), {"statistics"}),
    "an order counted as another": ("UPDATE order_statistics SET status = 'pending'", {"statistics"}),
    "a wrong revenue": (COUNT.format("shipped", 0, 0.01), {"statistics"}),
    "a status of no order": (COUNT.format("X", 1, 0), {"statistics"}),
    "no counters": ("DELETE FROM order_statistics", {"statistics"}),
    "a snapshot without an item": (SET_STATE.format("item_count", 1), {"snapshots"}),
    "a snapshot of a later status": (SET_STATE.format("status", '"confirmed"'), {"snapshots"}),
    "a snapshot of another amount": (SET_STATE.format("total_amount", '"1.00"'), {"snapshots"}),
    "a snapshot with a field too many": (SET_STATE.format("reason", '"?"'), {"snapshots"}),
    "a snapshot of another time": ("UPDATE order_snapshots SET occurred_at = now()", {"snapshots"}),
    "a snapshot of a later version": ("UPDATE order_snapshots SET version = 4", {"snapshots"}),
    "a snapshot of a version to come": ("UPDATE order_snapshots SET version = 6", {"snapshots"}),
    "a snapshot of no order": ("UPDATE order_snapshots SET aggregate_id = 'X'", {"snapshots"}),
}
ANSWER = {
    "total_count": 1,
    "pending_count": 0,
    "confirmed_count": 0,
    "shipped_count": 1,
    "cancelled_count": 0,
    "total_revenue": Decimal("10000.00"),
}


@pytest.fixture(scope="module")
def database_url(postgres: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The example order as stored and projected, with a snapshot of its third version."""
    with new_database(postgres, migrated_template) as url:
        sessions = session_factory(url)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(repository, "SNAPSHOT_EVERY", 3)
            for command in COMMANDS:
                handle(sessions, command, at=NOON)
        for projector in PROJECTORS.values():
            project(sessions, projector, [ORDER_ID])
        sessions.kw["bind"].dispose()
        yield url


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """What is changed through it is undone."""
    with psycopg.connect(database_url, options="-c TimeZone=UTC") as connection:
        yield connection
        connection.rollback()


def journal(*unanswered: str) -> Journal:
    """Every command of the example order acknowledged, except these."""
    journal = Journal()
    for version, tag in enumerate(TAGS, start=1):
        journal.send(tag)
        if tag not in unanswered:
            journal.acknowledge(tag, ORDER_ID, version)
    return journal


def found(findings: Findings) -> set[str]:
    return {kind for kind in KINDS if getattr(findings, kind)}


def test_nothing_is_found_where_all_is_well(connection: psycopg.Connection[Any]) -> None:
    findings = compare(connection, journal("ノートPC"), [ANSWER])

    assert found(findings) == set()
    assert (findings.stored, findings.snapshots_compared) == (len(COMMANDS), 1)
    assert orders_behind(connection) == 0


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found(connection: psycopg.Connection[Any], damage: str) -> None:
    statement, kinds = DAMAGE[damage]
    connection.execute(statement)

    assert found(compare(connection, journal())) == kinds


@pytest.mark.parametrize(("order_id", "version"), [(ORDER_ID, 6), (ORDER_ID, 1), ("ORDER-002", 5)])
def test_a_command_that_is_not_stored_as_acknowledged_is_lost(
    connection: psycopg.Connection[Any], order_id: str, version: int
) -> None:
    written = journal()
    written.send("another")
    written.acknowledge("another", order_id, version)

    assert found(compare(connection, written)) == {"lost"}


def test_a_refused_command_must_not_be_stored(connection: psycopg.Connection[Any]) -> None:
    written = journal("マウス")
    written.refuse("マウス")

    assert found(compare(connection, written)) == {"unasked"}


@pytest.mark.parametrize("table", ["order_summary_read_models", "order_details_read_models"])
def test_a_row_that_is_behind_is_waited_for(connection: psycopg.Connection[Any], table: str) -> None:
    connection.execute(f"UPDATE {table} SET version = 4")
    assert orders_behind(connection) == 1

    connection.execute(f"DELETE FROM {table}")
    assert orders_behind(connection) == 1


@pytest.mark.parametrize("wrong", [{"pending_count": 1}, {"total_count": 2}, {"total_revenue": Decimal("9999.99")}])
def test_a_wrong_answer_to_a_client_is_found(connection: psycopg.Connection[Any], wrong: dict[str, Any]) -> None:
    assert found(compare(connection, journal(), [ANSWER, ANSWER | wrong])) == {"statistics"}
