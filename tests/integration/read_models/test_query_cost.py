"""What the queries read follows what they answer, not the number of orders; as `make bench` measures in time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from core.projection.sums import recount
from core.read_models.details import find_details
from core.read_models.statistics import ORDERS_BY_STATUS, statistics
from core.read_models.summary import OrderFilter, PageEnd, list_orders
from tests.support.examples import NOON
from tests.support.read_side import run

FEW, MANY = 1_000, 100_000
LITTLE_MORE = 10  # pages; an index grows by a level or two

COLUMNS = "order_id, customer_name, status, total_amount, placed_at, version"
# The oldest are another customer's and have another status, so that only the right index finds them soon.
OLDEST = 200
ROWS = f"""
    SELECT 'ORDER-' || n, 'customer ' || (n > {OLDEST})::int,
           CASE WHEN n > {OLDEST} THEN 'confirmed' ELSE 'pending' END, 100,
           timestamptz '{NOON.isoformat()}' + n * interval '1 minute', 1
    FROM generate_series({{first}}, {{last}}) AS n
"""
WITHIN = PageEnd(NOON + timedelta(minutes=OLDEST // 2), "ORDER-0")

QUERIES: dict[str, Callable[[Session], object]] = {
    "list": lambda session: list_orders(session, matching=OrderFilter(), after=None, limit=50),
    "later page": lambda session: list_orders(session, matching=OrderFilter(), after=WITHIN, limit=50),
    "list of a status": lambda session: list_orders(
        session, matching=OrderFilter(status="pending"), after=None, limit=50
    ),
    "list of a customer": lambda session: list_orders(
        session, matching=OrderFilter(customer_name="customer 0"), after=None, limit=50
    ),
    "details": lambda session: find_details(session, "ORDER-500"),
    "statistics": statistics,
}


def fill(sessions: sessionmaker[Session], first: int, last: int) -> None:
    """So many orders in the read models; counted in one row per status, as catch-up folds them all the time."""
    rows = ROWS.format(first=first, last=last)
    run(
        sessions,
        f"INSERT INTO order_summary_read_models ({COLUMNS}) {rows}",
        f"INSERT INTO order_details_read_models ({COLUMNS}, items_total) SELECT *, 0 FROM ({rows}) AS placed",
    )
    for _ in range(2):  # the first leaves its rows at the end of the table, behind all that it has deleted
        with sessions.begin() as session:
            recount(session, ORDERS_BY_STATUS)
        with sessions.kw["bind"].connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in ("order_summary_read_models", "order_details_read_models", "order_statistics"):
                connection.exec_driver_sql(f"VACUUM ANALYZE {table}")


@contextmanager
def pages_read(session: Session) -> Iterator[list[int]]:
    """By each statement that the block sends."""
    found: list[int] = []

    def explain(_connection: object, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
        [(plans,)] = cursor.fetchall()
        found.append(plans[0]["Plan"]["Shared Hit Blocks"] + plans[0]["Plan"]["Shared Read Blocks"])

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def cost(sessions: sessionmaker[Session], query: Callable[[Session], object]) -> int:
    """The pages of the one statement that it may send."""
    with sessions.begin() as session, pages_read(session) as found:
        query(session)
    [pages] = found
    return pages


def test_a_hundred_times_the_orders_cost_a_query_no_more(sessions: sessionmaker[Session]) -> None:
    fill(sessions, 1, FEW)
    few = {name: cost(sessions, query) for name, query in QUERIES.items()}
    fill(sessions, FEW + 1, MANY)

    many = {name: cost(sessions, query) for name, query in QUERIES.items()}

    assert {name: pages for name, pages in many.items() if pages > few[name] + LITTLE_MORE} == {}, few
