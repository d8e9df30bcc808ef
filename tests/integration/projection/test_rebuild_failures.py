"""Orders that a rebuild cannot make whole are shown up to the event that fails, and said; all others are rebuilt."""

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.codec import encode
from core.event_sourcing.streams import IdRange
from core.projection.verify import verify
from core.read_models.wiring import PROJECTORS
from tests.support.examples import LAPTOP_ADDED, MICE_ADDED, PLACED
from tests.support.failing import Failing, failure
from tests.support.read_side import project_all, rows, run, shown, store, value
from tests.support.rebuilding import fill
from tests.support.streams import append

OTHERS = 30  # enough for the ways of many rows to be taken
MIDDLE = "ORDER-0000010"

Sessions = sessionmaker[Session]


@pytest.fixture
def others(sessions: Sessions) -> set[str]:
    """Orders that can be rebuilt; each has four events."""
    fill(sessions, OTHERS)
    return {f"ORDER-{n:07}" for n in range(1, OTHERS + 1)}


def test_an_event_that_cannot_be_read_stops_its_order_alone(
    sessions: Sessions, runner: FlaskCliRunner, others: set[str]
) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED], order_id=f"{MIDDLE}-A")
    store(sessions, f"{MIDDLE}-A", 3, "OrderLost")

    result = runner.invoke(args=["rebuild"])

    assert result.exit_code == 1
    for name in PROJECTORS:
        assert f"{name}: order {MIDDLE}-A was rebuilt only in part; see `flask parked show" in result.output
        found = failure(sessions, f"{MIDDLE}-A", name)
        assert found is not None
        assert (found.version, found.attempts) == (3, 1)
    for table in ("order_summary_read_models", "order_details_read_models"):
        assert shown(sessions, table) == {**dict.fromkeys(others, 4), f"{MIDDLE}-A": 2}
    assert value(sessions, "SELECT count(*) FROM order_item_read_models") == 2 * OTHERS + 1
    assert verify(sessions, PROJECTORS, IdRange()).differences == []


def test_a_number_with_too_many_bits_stops_its_order_alone(
    sessions: Sessions, runner: FlaskCliRunner, others: set[str]
) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED], order_id=MIDDLE + "-A")
    store(sessions, MIDDLE + "-A", 3, "OrderItemAdded", {**encode(LAPTOP_ADDED).data, "quantity": 3_000_000_000})

    assert runner.invoke(args=["rebuild"]).exit_code == 1

    found = failure(sessions, MIDDLE + "-A", "details")
    assert found is not None
    assert found.version == 3
    assert shown(sessions, "order_details_read_models") == {**dict.fromkeys(others, 4), MIDDLE + "-A": 2}
    assert value(sessions, "SELECT count(*) FROM order_item_read_models") == 2 * OTHERS + 1
    assert value(sessions, "SELECT min(quantity) FROM order_item_read_models") > 0


def test_many_failing_orders_are_counted_rather_than_listed(sessions: Sessions, runner: FlaskCliRunner) -> None:
    for n in range(25):
        append(sessions, [MICE_ADDED], order_id=f"BROKEN-{n}")

    result = runner.invoke(args=["rebuild", "summary"])

    assert result.exit_code == 1
    assert result.output.count("was rebuilt only in part") == 20
    assert "… and 5 more orders" in result.output


def test_what_shows_more_than_can_be_made_of_the_events_is_taken_back(
    sessions: Sessions, runner: FlaskCliRunner, others: set[str]
) -> None:
    """Such rows may be left by a later release."""
    append(sessions, [PLACED, LAPTOP_ADDED], order_id="A")
    append(sessions, [MICE_ADDED], order_id="B")
    project_all(sessions, "A")
    store(sessions, "A", 3, "OrderLost")
    run(
        sessions,
        "UPDATE order_summary_read_models SET version = 3, status = 'lost'",
        "INSERT INTO order_summary_read_models"
        ' SELECT (jsonb_populate_record(row, \'{"order_id": "B"}\')).* FROM order_summary_read_models AS row',
    )

    assert runner.invoke(args=["rebuild"]).exit_code == 1

    assert shown(sessions) == {**dict.fromkeys(others, 4), "A": 2}
    assert value(sessions, "SELECT status FROM order_summary_read_models WHERE order_id = 'A'") == "pending"


@pytest.mark.parametrize("before", ["projected", "not projected"])
def test_a_value_that_its_table_refuses_stops_its_order_alone(
    sessions: Sessions, runner: FlaskCliRunner, others: set[str], before: str
) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED, MICE_ADDED], order_id=MIDDLE + "-A")
    if before == "projected":
        project_all(sessions, *others, MIDDLE + "-A")
    refuse_mice = (
        "ALTER TABLE order_item_read_models ADD CHECK (product_name <> 'マウス' OR order_id <> '{}') NOT VALID"
    )
    run(sessions, refuse_mice.format(MIDDLE + "-A"))

    result = runner.invoke(args=["rebuild"])

    assert result.exit_code == 1
    assert result.output.count("was rebuilt only in part") == 1
    found = failure(sessions, MIDDLE + "-A", "details")
    assert found is not None
    assert found.version == 3
    assert "CheckViolation" in found.error
    assert shown(sessions) == {**dict.fromkeys(others, 4), MIDDLE + "-A": 3}
    assert shown(sessions, "order_details_read_models") == {**dict.fromkeys(others, 4), MIDDLE + "-A": 2}
    assert value(sessions, f"SELECT count(*) FROM order_item_read_models WHERE order_id = '{MIDDLE}-A'") == 1


@pytest.mark.parametrize("before", ["projected", "not projected"])
def test_an_order_whose_first_row_is_refused_is_not_shown(
    sessions: Sessions, runner: FlaskCliRunner, others: set[str], before: str
) -> None:
    if before == "projected":
        project_all(sessions, *others)
    refuse = "ALTER TABLE order_details_read_models ADD CHECK (order_id <> '{}') NOT VALID"
    run(sessions, refuse.format(MIDDLE))

    assert runner.invoke(args=["rebuild"]).exit_code == 1

    found = failure(sessions, MIDDLE, "details")
    assert found is not None
    assert found.version == 1
    assert shown(sessions).keys() == others
    assert shown(sessions, "order_details_read_models").keys() == others - {MIDDLE}
    assert value(sessions, "SELECT count(*) FROM order_item_read_models") == 2 * (OTHERS - 1)


def test_after_a_fix_the_failures_are_forgotten(
    sessions: Sessions, runner: FlaskCliRunner, others: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Failing(3, MIDDLE)
    monkeypatch.setitem(PROJECTORS, "summary", failing)
    assert runner.invoke(args=["rebuild"]).exit_code == 1
    assert shown(sessions)[MIDDLE] == 2
    assert failure(sessions, MIDDLE) is not None

    failing.order_ids.clear()
    result = runner.invoke(args=["rebuild"])

    assert result.exit_code == 0, result.output
    assert shown(sessions)[MIDDLE] == 4
    assert failure(sessions, MIDDLE) is None


def test_a_database_that_is_not_migrated_is_one_clear_sentence(
    sessions: Sessions, runner: FlaskCliRunner, others: set[str]
) -> None:
    project_all(sessions, *others)
    before = rows(sessions)
    run(sessions, "ALTER TABLE order_item_read_models RENAME COLUMN subtotal TO total")

    result = runner.invoke(args=["rebuild"])

    assert result.exit_code == 1
    assert result.output.startswith("Error: The database is not migrated; run `flask db upgrade`. (UndefinedColumn: ")
    assert result.output.count("\n") == 1
    assert rows(sessions) == before
