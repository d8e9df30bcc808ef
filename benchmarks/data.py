"""Large histories, made set-wise by SQL, as commands would have made them."""

from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import Connection

from benchmarks.comparators.sql_read_models import make_read_models
from core.database import session_factory
from core.projection.sums import recount
from core.read_models.wiring import SUMS

# Each fourth order stays pending, is confirmed, is shipped, is cancelled: three events on average.
EVENTS = """
    INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
    SELECT id, 'Order', version, event_type, data || jsonb_build_object('order_id', id),
           jsonb_build_object('schema_version', 1, 'correlation_id', id), at
    FROM generate_series(1::bigint, %(orders)s) AS number
    CROSS JOIN LATERAL (
        SELECT '01990000-0000-7000-8000-' || lpad(number::text, 12, '0') AS id,
               timestamptz '2026-01-01T00:00:00Z' + number * interval '1 second' AS at
    ) AS placed
    CROSS JOIN LATERAL (SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS time) AS written
    CROSS JOIN LATERAL (VALUES
        (1, 'OrderPlaced', jsonb_build_object('customer_name', 'Customer ' || number %% 1000,
                                              'total_amount', '83000.00', 'placed_at', time)),
        (2, 'OrderItemAdded', jsonb_build_object('product_name', 'ノートPC', 'quantity', 2,
                                                 'unit_price', '41500.00', 'added_at', time)),
        (3, 'OrderConfirmed', CASE WHEN number %% 4 IN (1, 2) THEN jsonb_build_object('confirmed_at', time) END),
        (4, 'OrderShipped', CASE WHEN number %% 4 = 2
                                 THEN jsonb_build_object('tracking_number', 'TRACK-1', 'shipped_at', time) END),
        (3, 'OrderCancelled', CASE WHEN number %% 4 = 3
                                   THEN jsonb_build_object('reason', '顧客都合', 'cancelled_at', time) END)
    ) AS event (version, event_type, data)
    WHERE data IS NOT NULL
    ORDER BY number, version
"""

STREAM = """
    INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
    SELECT %(order_id)s::text, 'Order', version,
           CASE version WHEN 1 THEN 'OrderPlaced' ELSE 'OrderItemAdded' END,
           CASE version
               WHEN 1 THEN jsonb_build_object('order_id', %(order_id)s::text, 'customer_name', '山田太郎',
                                              'total_amount', '83000.00', 'placed_at', '2026-01-01T00:00:00+00:00')
               ELSE jsonb_build_object('order_id', %(order_id)s::text, 'product_name', 'ノートPC', 'quantity', 2,
                                       'unit_price', '41500.00', 'added_at', '2026-01-01T00:00:00+00:00')
           END,
           jsonb_build_object('schema_version', 1), timestamptz '2026-01-01T00:00:00Z'
    FROM generate_series(1, %(events)s) AS version
"""


def order_id(number: int) -> str:
    """The id of the order that `fill` has made with this number, from 1."""
    return f"01990000-0000-7000-8000-{number:012}"


def placed_at(number: int) -> datetime:
    """When it was placed, and all else happened to it."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)


def fill(database_url: str, orders: int) -> int:
    """Streams of so many orders, and their read models; returns the number of events."""
    with psycopg.connect(database_url) as connection:
        number = connection.execute(EVENTS, {"orders": orders}).rowcount
        connection.execute("SET LOCAL session_replication_role = replica")  # or each row would leave a change to fold
        make_read_models(connection)
    _count(database_url)
    settle(database_url)
    return number


def _count(database_url: str) -> None:
    """As the writer would have done; catch-up folds the sums all the while."""
    sessions = session_factory(database_url)
    for sums in SUMS.values():
        with sessions.begin() as session:
            recount(session, sums)
    sessions.kw["bind"].dispose()


def add_stream(connection: Connection, order_id: str, events: int) -> None:
    """A pending order of so many events: placed, the rest items. Its read models are left to catch-up."""
    connection.execute(STREAM, {"order_id": order_id, "events": events})


def settle(database_url: str) -> None:
    """Do now what PostgreSQL would else do in the background of a measurement."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
