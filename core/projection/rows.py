"""Rows that belong to one order and carry the version they show: reading them to change them, and writing them.

A few rows are written without waiting for one another, or for what else a projection has sent in the driver's pipeline.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from psycopg import Cursor
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row
from sqlalchemy import Table, delete, select
from sqlalchemy.orm import Session

from core.database import driver_connection, in_pipeline
from core.event_sourcing.streams import IdList
from core.projection import row_sql
from core.projection.copying import copy_rows

Values = Sequence[Any]  # of one row, in the order of the table's columns; the first is the order's id


def read_later(session: Session, table: Table, order_ids: Sequence[str], most: int | None = None) -> Cursor[Any]:
    """Lock the rows there are, and read the events later than each shows, `most` per order; their columns are COLUMNS.

    A row that comes into being meanwhile may show some of the events, and is not locked."""
    orders, parameters = _wanted(order_ids)
    return driver_connection(session).execute(row_sql.read_later(table, orders), {**parameters, "most": most})


def lock_rows(session: Session, table: Table, order_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rows there are, by order id, locked until the transaction ends; in id order, which rules out deadlocks."""
    orders, parameters = _wanted(order_ids)
    with driver_connection(session).cursor(row_factory=dict_row) as cursor:
        return {row["order_id"]: row for row in cursor.execute(row_sql.lock(table, orders), parameters)}


def _wanted(order_ids: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """One order has statements of its own, which PostgreSQL does not plan anew each time."""
    if len(order_ids) == 1:
        return row_sql.ONE, {"order_ids": order_ids[0]}
    return row_sql.MANY, {"order_ids": list(order_ids)}


def save_rows(session: Session, table: Table, rows: Sequence[Values]) -> None:
    """Write whole rows unless a later version is stored by now."""
    _upsert(session, table, rows, True)


def upsert_rows(session: Session, table: Table, rows: Sequence[Values]) -> set[str]:
    """The same. Returns the ids of the orders written, for which a pipeline has to wait."""
    return _written(_upsert(session, table, rows, True))


def upsert_parts(session: Session, table: Table, rows: Sequence[Values]) -> None:
    """Write rows of a table that follows a row which this transaction has written."""
    _upsert(session, table, rows, False)


def replace_rows(session: Session, table: Table, rows: Sequence[Values], locked: Collection[str]) -> set[str]:
    """Write whole rows: over those that this transaction has locked, whatever they show; else as `upsert_rows` does.

    Returns the ids of the orders written."""
    held = [row for row in rows if row[0] in locked]
    replaced = {row[0] for row in held}
    delete_rows(session, table, replaced)
    _insert(session, table, held)
    return replaced | _insert_new(session, table, [row for row in rows if row[0] not in locked])


def _insert_new(session: Session, table: Table, rows: Sequence[Values]) -> set[str]:
    """As `upsert_rows` does; at less than half its cost if nobody has written one of them meanwhile."""
    if len(rows) >= FEW:
        with suppress(UniqueViolation), session.begin_nested():
            _insert(session, table, rows)
            return {row[0] for row in rows}
    return upsert_rows(session, table, rows)


def replace_parts(session: Session, table: Table, rows: Sequence[Values], order_ids: Collection[str]) -> None:
    """Write all rows of these orders in a table that follows a row which this transaction has written."""
    delete_rows(session, table, order_ids)
    _insert(session, table, rows)


def delete_rows(session: Session, table: Table, order_ids: Collection[str]) -> None:
    if order_ids:
        session.execute(delete(table).where(IdList(order_ids).among(table.c.order_id)))


FEW = 20  # rows; from here on COPY is quicker


def _upsert(session: Session, table: Table, rows: Sequence[Values], guarded: bool) -> list[Cursor[Any]]:
    connection = driver_connection(session)
    if len(rows) < FEW or in_pipeline(connection):
        return [connection.execute(row_sql.upsert(table, guarded=guarded), row) for row in rows]
    connection.execute(row_sql.stage(table))
    copy_rows(connection, table, rows, staged=True)
    return [connection.execute(row_sql.upsert_staged(table, guarded=guarded))]


def _written(upserts: Sequence[Cursor[Any]]) -> set[str]:
    return {order_id for cursor in upserts for (order_id,) in cursor}


def _insert(session: Session, table: Table, rows: Sequence[Values]) -> None:
    connection = driver_connection(session)
    if in_pipeline(connection):
        _upsert(session, table, rows, False)
    elif rows:
        copy_rows(connection, table, rows)


def ids_behind(session: Session, table: Table, versions: Mapping[str, int]) -> list[str]:
    """Those orders, of the ones given with a version, whose row is missing or shows an earlier version."""
    query = select(table.c.order_id, table.c.version).where(IdList(versions).among(table.c.order_id))
    stored = dict(session.execute(query).all())
    return [order_id for order_id, version in versions.items() if stored.get(order_id, 0) < version]
