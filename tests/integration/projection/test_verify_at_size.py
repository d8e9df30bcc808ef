"""One wrong field in one row among 100,000 orders is found, and that row alone is repaired."""

import re

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy.orm import Session, sessionmaker

from core.read_models.wiring import PROJECTORS
from tests.support.read_side import place_many, run, value

ORDERS = 100_000
VICTIM = "FILL-77777"


@pytest.mark.timeout(300)
def test_one_wrong_field_among_100_000_orders(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    place_many(sessions, ORDERS)
    rebuilt = runner.invoke(args=["rebuild"])
    assert rebuilt.exit_code == 0, rebuilt.output
    run(sessions, f"UPDATE order_details_read_models SET total_amount = 10.01 WHERE order_id = '{VICTIM}'")
    written = value(sessions, "SELECT pg_current_xact_id()::text")

    found = runner.invoke(args=["verify"])

    assert found.exit_code == 1
    first, last = found.output.splitlines()
    assert first == f"details: {VICTIM} total_amount: stored 10.01, events say 10.00"
    assert re.match(
        rf"{len(PROJECTORS) * ORDERS} rows checked, 1 differ in 1 places, 0 not brought up to date yet, ", last
    )

    repaired = runner.invoke(args=["verify", "--repair"])

    assert repaired.exit_code == 0, repaired.output
    assert repaired.output.splitlines()[1] == "1 rows repaired"
    amount = f"SELECT total_amount::text FROM order_details_read_models WHERE order_id = '{VICTIM}'"
    assert value(sessions, amount) == "10.00"
    for table, rows in {"order_details_read_models": 1, "order_summary_read_models": 0}.items():
        assert value(sessions, f"SELECT count(*) FROM {table} WHERE xmin::text::bigint > {written}") == rows
