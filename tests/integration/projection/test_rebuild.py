"""`flask rebuild` makes the read models equal to the events, while readers and writers go on."""

import threading
from collections.abc import Mapping, Sequence

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.projection.catch_up import catch_up
from core.projection.project import project
from core.read_models.wiring import PROJECTORS
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, MICE_ADDED, ORDER_ID, PLACED
from tests.support.read_side import place_many, rows, run
from tests.support.streams import append

Rows = Sequence[tuple[object, ...]]

STRAY_SUMMARY = """
    INSERT INTO order_summary_read_models
    SELECT 'ORDER-404', customer_name, status, total_amount, placed_at, confirmed_at, shipped_at, cancelled_at,
           tracking_number, cancel_reason, version
    FROM order_summary_read_models
"""


@pytest.fixture
def projected(sessions: sessionmaker[Session]) -> Mapping[str, Rows]:
    """One order with two items, as it should be shown."""
    append(sessions, [PLACED, LAPTOP_ADDED, MICE_ADDED, CONFIRMED])
    for projector in PROJECTORS.values():
        project(sessions, projector, [ORDER_ID])
    return rows(sessions)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE order_summary_read_models SET customer_name = 'wrong'",
        "UPDATE order_details_read_models SET items_total = 1, status = 'shipped'",
        "UPDATE order_summary_read_models SET version = 99",
        "UPDATE order_details_read_models SET version = 99",
        "UPDATE order_item_read_models SET quantity = 7 WHERE version = 2",
        "DELETE FROM order_item_read_models WHERE version = 2",
        "INSERT INTO order_item_read_models VALUES ('ORDER-001', 9, 'ghost', 1, 1, 1)",
        "DELETE FROM order_details_read_models",
        "DELETE FROM order_summary_read_models",
        "INSERT INTO order_item_read_models VALUES ('ORDER-404', 2, 'ghost', 1, 1, 1)",
        STRAY_SUMMARY,
    ],
)
def test_any_damage_is_repaired(
    sessions: sessionmaker[Session], runner: FlaskCliRunner, projected: Mapping[str, Rows], damage: str
) -> None:
    run(sessions, damage)
    assert rows(sessions) != projected

    result = runner.invoke(args=["rebuild"])

    assert result.exit_code == 0, result.output
    assert rows(sessions) == projected


def test_a_named_read_model_is_rebuilt_alone(
    sessions: sessionmaker[Session], runner: FlaskCliRunner, projected: Mapping[str, Rows]
) -> None:
    run(sessions, "DELETE FROM order_summary_read_models", "DELETE FROM order_details_read_models")

    result = runner.invoke(args=["rebuild", "summary"])

    assert result.exit_code == 0
    assert "summary: 4 events in" in result.output
    assert rows(sessions)["order_summary_read_models"] == projected["order_summary_read_models"]
    assert rows(sessions)["order_details_read_models"] == []


def test_an_unknown_name_is_refused(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["rebuild", "invoices"])

    assert result.exit_code == 2
    assert "'summary', 'details'" in result.output


def test_a_broken_stream_fails_the_rebuild_and_says_so(
    sessions: sessionmaker[Session], runner: FlaskCliRunner, projected: Mapping[str, Rows]
) -> None:
    append(sessions, [MICE_ADDED], order_id="ORDER-002")

    result = runner.invoke(args=["rebuild"])

    assert result.exit_code == 1
    assert "ORDER-002" in result.output
    assert rows(sessions) == projected


def test_readers_never_see_a_partial_list_while_orders_arrive(
    sessions: sessionmaker[Session], runner: FlaskCliRunner
) -> None:
    orders = 1200
    place_many(sessions, orders)
    for name, projector in PROJECTORS.items():
        catch_up(sessions, name, projector)
    run(sessions, "UPDATE order_summary_read_models SET customer_name = 'wrong'")
    counts: list[int] = []
    done = threading.Event()
    reader = threading.Thread(target=watch, args=(sessions, counts, done))
    writer = threading.Thread(target=keep_adding, args=(sessions, orders, done))
    reader.start()
    writer.start()

    results = [runner.invoke(args=["rebuild"]) for _ in range(2)]

    done.set()
    reader.join()
    writer.join()
    assert [result.exit_code for result in results] == [0, 0], (results[0].output, results[0].exception)
    assert len(counts) > 10
    assert counts == sorted(counts)
    assert counts[0] == orders
    with sessions.begin() as session:
        wrong = text("SELECT count(*) FROM order_summary_read_models WHERE customer_name = 'wrong'")
        assert session.execute(wrong).scalar() == 0
        behind = text("""
            SELECT count(*) FROM (SELECT aggregate_id, max(version) AS version FROM events GROUP BY 1) AS stream
            LEFT JOIN order_summary_read_models AS row ON row.order_id = stream.aggregate_id
            WHERE row.version IS DISTINCT FROM stream.version
        """)
        assert session.execute(behind).scalar() == 0


def watch(sessions: sessionmaker[Session], counts: list[int], done: threading.Event) -> None:
    while not done.is_set():
        with sessions.begin() as session:
            counts.append(session.execute(text("SELECT count(*) FROM order_summary_read_models")).scalar_one())


def keep_adding(sessions: sessionmaker[Session], orders: int, done: threading.Event) -> None:
    """Items for orders that are being rebuilt, each projected at once."""
    n = 0
    while not done.is_set() and n < orders:
        n += 1
        append(sessions, [LAPTOP_ADDED], order_id=f"FILL-{n}", after=1)
        for projector in PROJECTORS.values():
            project(sessions, projector, [f"FILL-{n}"])
