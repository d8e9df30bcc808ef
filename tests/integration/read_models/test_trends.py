"""Orders per hour and revenue per day: kept by the writer, verified, rebuilt, and read at the same cost for ever."""

from datetime import date, timedelta

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.orders.events import OrderPlaced, OrderShipped
from core.projection.verify import verify_sums
from core.read_models.trends import orders_per_hour, revenue_per_day
from core.read_models.wiring import SUMS
from tests.support.cost import pages_read
from tests.support.examples import CANCELLED, CONFIRMED, LAPTOP_ADDED, LIFE, NOON, ORDER_ID, PLACED
from tests.support.read_side import append_placed, project_all, run, value
from tests.support.streams import append

Sessions = sessionmaker[Session]

LONG_AGO = NOON - timedelta(days=365)
LITTLE_MORE = 8  # pages; an index grows by a level or two


def trends(sessions: Sessions) -> tuple[dict[str, int], dict[str, str]]:
    """By hour and by day, as text; after making sure that the rows say the same."""
    assert verify_sums(sessions, SUMS) == []
    with sessions.begin() as session:
        run_in = text("SET LOCAL timezone = 'Asia/Tokyo'")
        session.execute(run_in)
        hours, days = orders_per_hour(session, LONG_AGO), revenue_per_day(session, LONG_AGO.date())
    return (
        {f"{hour.astimezone(NOON.tzinfo):%d %H:%M}": orders for hour, orders in hours.items()},
        {f"{day:%d}": str(revenue) for day, revenue in days.items()},
    )


def given_shipped(sessions: Sessions, order_id: str, placed_after: timedelta, shipped_after: timedelta) -> None:
    placed = OrderPlaced(
        order_id=order_id, customer_name="x", total_amount=PLACED.total_amount, placed_at=NOON + placed_after
    )
    shipped = OrderShipped(order_id=order_id, tracking_number="T", shipped_at=NOON + shipped_after)
    append(sessions, [placed, LAPTOP_ADDED, CONFIRMED, shipped], order_id=order_id)
    project_all(sessions, order_id)


def test_an_order_counts_in_the_hour_it_was_placed_and_the_day_it_was_shipped(sessions: Sessions) -> None:
    append(sessions, [PLACED])
    project_all(sessions, ORDER_ID)
    assert trends(sessions) == ({"01 12:00": 1}, {})

    append(sessions, LIFE[1:], after=1)
    project_all(sessions, ORDER_ID)
    given_shipped(sessions, "ORDER-002", timedelta(minutes=59), timedelta(hours=11, minutes=59))
    given_shipped(sessions, "ORDER-003", timedelta(minutes=60), timedelta(hours=12))
    append(sessions, [PLACED, CANCELLED], order_id="ORDER-004")
    project_all(sessions, "ORDER-004")

    assert trends(sessions) == ({"01 12:00": 3, "01 13:00": 1}, {"01": "20000.00", "02": "10000.00"})


def test_many_orders_at_once_count(sessions: Sessions) -> None:
    ids = [f"ORDER-{number}" for number in range(50)]
    append_placed(sessions, *ids)
    project_all(sessions, *ids)

    assert trends(sessions)[0] == {"01 12:00": 50}


def test_reading_begins_where_it_is_told(sessions: Sessions) -> None:
    given_shipped(sessions, ORDER_ID, timedelta(0), timedelta(hours=1))
    with sessions.begin() as session:
        assert list(orders_per_hour(session, NOON)) == [NOON]
        assert orders_per_hour(session, NOON + timedelta(hours=1)) == {}
        assert list(revenue_per_day(session, NOON.date())) == [date(2026, 1, 1)]
        assert revenue_per_day(session, NOON.date() + timedelta(days=1)) == {}


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("orders_per_hour", "UPDATE orders_per_hour SET orders = 9", "orders: stored 9, rows say 1"),
        ("revenue_per_day", "UPDATE revenue_per_day SET revenue = 9", "revenue: stored 9.00, rows say 10000.00"),
    ],
)
def test_verify_finds_what_is_wrong_and_rebuild_mends_it(
    sessions: Sessions, runner: FlaskCliRunner, name: str, damage: str, said: str
) -> None:
    given_shipped(sessions, ORDER_ID, timedelta(0), timedelta(hours=1))
    run(sessions, damage)

    verified = runner.invoke(args=["verify"])
    assert verified.exit_code == 1
    assert said in verified.output

    assert runner.invoke(args=["rebuild", name]).exit_code == 0
    assert runner.invoke(args=["verify"]).exit_code == 0


def test_years_of_hours_and_days_cost_a_reader_no_more(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    def cost() -> int:
        with sessions.kw["bind"].connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE orders_per_hour, revenue_per_day")
        with sessions.begin() as session, pages_read(monkeypatch) as pages:
            orders_per_hour(session, NOON)
            revenue_per_day(session, NOON.date())
        return sum(pages)

    given_shipped(sessions, ORDER_ID, timedelta(0), timedelta(hours=1))
    few = cost()
    run(
        sessions,
        f"""INSERT INTO orders_per_hour (hour, orders, folded)
            SELECT TIMESTAMPTZ '{NOON}' - n * interval '1 hour', 1, true FROM generate_series(1, 50000) AS n""",
        f"""INSERT INTO revenue_per_day (day, orders, revenue, folded)
            SELECT DATE '{NOON.date()}' - n, 1, 1, true FROM generate_series(1, 5000) AS n""",
    )
    assert value(sessions, "SELECT count(*) FROM orders_per_hour") > 50000

    assert cost() <= few + 2 * LITTLE_MORE
