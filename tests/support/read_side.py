"""Given what the log holds, even what no command would write; then what the read side holds."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.projection.project import project
from core.read_models.wiring import PROJECTORS
from tests.support.examples import PLACED
from tests.support.streams import append

Sessions = sessionmaker[Session]

# Of every read model, with the columns that rows are ordered by.
TABLES = {
    table.name: ", ".join(table.primary_key.columns.keys())
    for read_model in PROJECTORS.values()
    for table in read_model.tables
}

STORE = text("""
    INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
    VALUES (:order_id, 'Order', :version, :event_type, CAST(:data AS jsonb),
            jsonb_build_object('schema_version', CAST(:schema_version AS integer)), now())
""")

PLACE_MANY = text("""
    INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
    SELECT 'FILL-' || n, 'Order', 1, 'OrderPlaced',
           jsonb_build_object('order_id', 'FILL-' || n, 'customer_name', '山田太郎', 'total_amount', '10.00',
                              'placed_at', '2026-01-01 12:00:00+00:00'),
           '{"schema_version": 1}', now()
    FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS n
""")

STORE_MANY = text("""
    INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
    SELECT :order_id, 'Order', n, 'OrderItemAdded', '{}', '{}', now()
    FROM generate_series(1, CAST(:number AS integer)) AS n
""")


def append_placed(sessions: Sessions, *order_ids: str) -> None:
    for order_id in order_ids:
        append(sessions, [PLACED], order_id=order_id)


def place_many(sessions: Sessions, number: int, first: int = 1) -> None:
    """So many orders FILL-1, FILL-2 …, all in one transaction."""
    with sessions.begin() as session:
        session.execute(PLACE_MANY, {"first": first, "last": first + number - 1})


def store(
    sessions: Sessions,
    order_id: str,
    version: int,
    event_type: str,
    data: Mapping[str, Any] | None = None,
    schema_version: int = 1,
) -> None:
    """An event as another release, or somebody by hand, might have written it."""
    values = {"order_id": order_id, "version": version, "event_type": event_type, "schema_version": schema_version}
    with sessions.begin() as session:
        session.execute(STORE, {**values, "data": json.dumps(data or {})})


def store_many(sessions: Sessions, order_id: str, number: int) -> None:
    """A long stream to have in the log; it cannot be projected."""
    with sessions.begin() as session:
        session.execute(STORE_MANY, {"order_id": order_id, "number": number})


def project_all(sessions: Sessions, *order_ids: str) -> None:
    """As hints for these orders do."""
    for projector in PROJECTORS.values():
        project(sessions, projector, order_ids)


def run(sessions: Sessions, *statements: str) -> None:
    with sessions.begin() as session:
        for statement in statements:
            session.execute(text(statement))


def value(sessions: Sessions, query: str) -> Any:
    """The one value that the query finds; None if there is no row."""
    with sessions.begin() as session:
        return session.execute(text(query)).scalar()


def shown(sessions: Sessions, table: str = "order_summary_read_models") -> dict[str, int]:
    """The version that each order's row shows."""
    with sessions.begin() as session:
        return {row.order_id: row.version for row in session.execute(text(f"SELECT order_id, version FROM {table}"))}


def checkpoint(sessions: Sessions) -> int:
    """The position that catch-up of the summary has reached."""
    return value(sessions, "SELECT position FROM projector_checkpoints WHERE projector = 'summary'") or 0


def last_position(sessions: Sessions) -> int:
    return int(value(sessions, "SELECT max(position) FROM events"))


def rows(sessions: Sessions) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in every read model, by table."""
    with sessions.begin() as session:
        return {
            table: [tuple(row) for row in session.execute(text(f"SELECT * FROM {table} ORDER BY {key}"))]
            for table, key in TABLES.items()
        }
