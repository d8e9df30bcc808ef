"""The limit of a rebuild: read models made by SQL alone, one statement per table. Also how large ones are made here."""

from psycopg import Connection, sql

SUMMARIES = sql.SQL("""
    INSERT INTO {table} (order_id, customer_name, status, total_amount, placed_at, confirmed_at, shipped_at,
                         cancelled_at, tracking_number, cancel_reason, version)
    SELECT aggregate_id,
           max(event_data->>'customer_name'),
           CASE WHEN bool_or(event_type = 'OrderShipped') THEN 'shipped'
                WHEN bool_or(event_type = 'OrderCancelled') THEN 'cancelled'
                WHEN bool_or(event_type = 'OrderConfirmed') THEN 'confirmed'
                ELSE 'pending' END,
           max((event_data->>'total_amount')::numeric),
           max((event_data->>'placed_at')::timestamptz),
           max((event_data->>'confirmed_at')::timestamptz),
           max((event_data->>'shipped_at')::timestamptz),
           max((event_data->>'cancelled_at')::timestamptz),
           max(event_data->>'tracking_number'),
           max(event_data->>'reason'),
           max(version)
    FROM events GROUP BY aggregate_id
""")

ITEMS = """
    INSERT INTO order_item_read_models (order_id, version, product_name, quantity, unit_price, subtotal)
    SELECT aggregate_id, version, event_data->>'product_name', (event_data->>'quantity')::integer,
           (event_data->>'unit_price')::numeric,
           (event_data->>'quantity')::integer * (event_data->>'unit_price')::numeric
    FROM events WHERE event_type = 'OrderItemAdded'
"""

DETAILS = """
    INSERT INTO order_details_read_models
    SELECT summary.*, coalesce(sum(item.subtotal), 0)
    FROM order_summary_read_models AS summary LEFT JOIN order_item_read_models AS item USING (order_id)
    GROUP BY summary.order_id
"""

CHECKPOINTS = """
    INSERT INTO projector_checkpoints (projector, epoch, transaction_id, position)
    SELECT projector, max(epoch), max(transaction_id), max(position)
    FROM events CROSS JOIN (VALUES ('summary'), ('details')) AS names (projector)
    GROUP BY projector
"""


def make_summaries(connection: Connection, table: str) -> None:
    """Into a table that is like the service's and empty."""
    connection.execute(SUMMARIES.format(table=sql.Identifier(table)))


def make_indexes(connection: Connection, table: str) -> None:
    """Those of the service's table, on one like it that has none yet: quicker than keeping them row by row."""
    found = connection.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'order_summary_read_models'")
    for (definition,) in found.fetchall():
        beginning, end = definition.split(" USING ")
        unique = "UNIQUE " if beginning.startswith("CREATE UNIQUE") else ""
        connection.execute(f"CREATE {unique}INDEX ON {table} USING {end}")


def make_read_models(connection: Connection) -> None:
    """All of them, and the checkpoints that say so."""
    make_summaries(connection, "order_summary_read_models")
    connection.execute(ITEMS)
    connection.execute(DETAILS)
    connection.execute(CHECKPOINTS)
