"""`flask rebuild --dry-run` says what would change, field by field, and touches nothing."""

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.read_models.wiring import PROJECTORS
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, MICE_ADDED, PLACED, SHIPPED
from tests.support.read_side import run
from tests.support.streams import append

Sessions = sessionmaker[Session]


@pytest.fixture
def projected(sessions: Sessions, runner: FlaskCliRunner) -> Sessions:
    """Three orders, rightly shown and passed by catch-up."""
    for order_id in ("A", "B", "C"):
        append(sessions, [PLACED, LAPTOP_ADDED, MICE_ADDED, CONFIRMED], order_id=order_id)
    assert runner.invoke(args=["catch-up"]).exit_code == 0
    return sessions


def everything(sessions: Sessions) -> dict[str, list[tuple[str, str, str]]]:
    """Each row of each table, with the transactions that wrote and locked it."""
    with sessions.begin() as session:
        tables = session.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
        rows = {table: session.execute(text(f"SELECT ctid, xmin, xmax FROM {table} ORDER BY ctid")) for table in tables}
        return {table: [(str(at), str(by), str(held)) for at, by, held in found] for table, found in rows.items()}


def dry_run(sessions: Sessions, runner: FlaskCliRunner, *names: str) -> str:
    """What it says, having written nothing."""
    before = everything(sessions)
    result = runner.invoke(args=["rebuild", "--dry-run", *names])
    assert result.exit_code == 0, result.output
    assert everything(sessions) == before
    return result.output


def test_nothing_would_change(projected: Sessions, runner: FlaskCliRunner) -> None:
    assert f"{3 * len(PROJECTORS)} rows checked, 0 differ in 0 places" in dry_run(projected, runner)


def test_rows_that_would_be_made_or_brought_further_are_named(projected: Sessions, runner: FlaskCliRunner) -> None:
    append(projected, [PLACED], order_id="NEW")
    append(projected, [SHIPPED], order_id="A", after=4)

    said = dry_run(projected, runner)

    assert "summary: NEW row: stored none, events say there is one" in said
    assert "details: A status: stored confirmed, events say shipped" in said
    assert f"{2 * len(PROJECTORS)} differ in" in said


def test_what_would_change_is_named_field_by_field(projected: Sessions, runner: FlaskCliRunner) -> None:
    run(
        projected,
        "UPDATE order_summary_read_models SET customer_name = 'wrong' WHERE order_id = 'A'",
        "UPDATE order_details_read_models SET items_total = 1, version = 3 WHERE order_id = 'B'",
        "UPDATE order_item_read_models SET quantity = 7 WHERE order_id = 'C' AND version = 2",
        "DELETE FROM order_summary_read_models WHERE order_id = 'C'",
        "INSERT INTO order_item_read_models VALUES ('D', 2, 'ghost', 1, 1, 1)",
    )

    said = dry_run(projected, runner).splitlines()

    assert "summary: A customer_name: stored wrong, events say 山田太郎" in said
    assert "summary: C row: stored none, events say there is one" in said
    assert "details: B items_total: stored 1.00, events say 83000.00" in said
    assert "details: C order_item_read_models.2.quantity: stored 7, events say 1" in said
    assert "details: D row: stored there is one, events say none" in said
    assert any("5 differ" in line for line in said)


def test_of_many_differences_the_first_are_named(projected: Sessions, runner: FlaskCliRunner) -> None:
    run(
        projected,
        "UPDATE order_details_read_models SET customer_name = 'wrong', tracking_number = 'x', cancel_reason = 'y'",
    )
    run(projected, "UPDATE order_item_read_models SET quantity = 7, product_name = 'x', unit_price = 0")

    said = dry_run(projected, runner)

    assert said.count(": stored ") == 20
    assert "… and 7 more differences" in said


def test_a_named_read_model_is_looked_at_alone(projected: Sessions, runner: FlaskCliRunner) -> None:
    run(projected, "UPDATE order_summary_read_models SET status = 'lost'", "DELETE FROM order_details_read_models")

    said = dry_run(projected, runner, "summary")

    assert "summary: A status: stored lost, events say confirmed" in said
    assert "details:" not in said
