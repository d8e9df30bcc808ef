"""What the list and the statistics of a past moment cost: ranges of indexes, never a scan or a sort of everything."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session, sessionmaker

from core.read_models.past_orders import list_orders_as_of, statistics_as_of
from core.read_models.summary import OrderFilter, PageEnd
from tests.support.examples import NOON

MOMENT = NOON + timedelta(minutes=5000)

# An order a minute: placed, confirmed ten minutes later, then one of four cancelled and the others shipped.
FILL = """
    INSERT INTO order_summary_read_models (order_id, customer_name, status, total_amount, placed_at, confirmed_at,
                                           shipped_at, cancelled_at, tracking_number, cancel_reason, version)
    SELECT 'ORDER-' || n, 'customer ' || n % 1000, CASE n % 4 WHEN 0 THEN 'cancelled' ELSE 'shipped' END, 100,
           at, at + interval '10 minutes', CASE WHEN n % 4 > 0 THEN at + interval '1 day' END,
           CASE WHEN n % 4 = 0 THEN at + interval '1 day' END, 'TRACK-1', 'reason', 4
    FROM (SELECT n, timestamptz '2026-01-01T12:00:00Z' + n * interval '1 minute' AS at
          FROM generate_series(1, 10000) AS n) AS placed
"""
FILL_EVENTS = """
    INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
    SELECT order_id, 'Order', n, 'OrderPlaced', '{}', '{}', placed_at
    FROM order_summary_read_models, generate_series(1, 4) AS n
"""


@pytest.fixture
def session(sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sessions.begin() as session:
        session.execute(text(FILL))
        session.execute(text(FILL_EVENTS))
    with sessions.kw["bind"].connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE order_summary_read_models, events"))
    with sessions.begin() as session:
        yield session


@contextmanager
def plans(session: Session) -> Iterator[list[str]]:
    """The plans of the statements that the block sends."""
    found: list[str] = []

    def explain(_connection: object, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        cursor.execute(f"EXPLAIN {statement}", parameters)
        found.append("\n".join(line for (line,) in cursor.fetchall()))

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", explain)
    yield found
    event.remove(engine, "before_cursor_execute", explain)


@pytest.mark.parametrize("after", [None, PageEnd(MOMENT - timedelta(days=2), "ORDER-1")], ids=["first", "later"])
@pytest.mark.parametrize("status", [None, "shipped", "cancelled"])
def test_a_page_is_a_range_of_an_index(session: Session, status: str | None, after: PageEnd | None) -> None:
    with plans(session) as found:
        list_orders_as_of(session, MOMENT, matching=OrderFilter(status=status), after=after, limit=50)

    [plan] = found
    assert "Index Scan Backward using order_summary_read_models_placed_at_order_id_idx" in plan, plan
    assert "events_aggregate_id_version_key" in plan, plan
    assert "Seq Scan" not in plan, plan
    assert "Sort" not in plan, plan


def test_only_the_orders_of_a_customer_are_read(session: Session) -> None:
    with plans(session) as found:
        list_orders_as_of(session, MOMENT, matching=OrderFilter(customer_name="customer 7"), after=None, limit=50)

    [plan] = found
    assert "order_summary_read_models_normal_name_placed_at_order_id_idx" in plan, plan
    assert "Seq Scan" not in plan, plan


def test_statistics_are_ranges_of_four_indexes(session: Session) -> None:
    with plans(session) as found:
        statistics = statistics_as_of(session, MOMENT)

    [plan] = found
    assert plan.count("Index Only Scan") == 4, plan
    assert "Seq Scan" not in plan, plan
    assert statistics.total_count == 5000
    assert statistics.pending_count == 10
