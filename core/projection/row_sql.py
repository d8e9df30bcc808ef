"""SQL about a read model's tables, as it is sent: made once per table, since it runs for each event."""

from functools import cache

from sqlalchemy import Table

from core.event_sourcing.postgres_store import COLUMNS

ONE = "SELECT %(order_ids)s::text AS order_id"
MANY = "SELECT unnest(%(order_ids)s::text[]) AS order_id ORDER BY order_id"  # one order of locking rules out deadlocks


@cache
def read_later(table: Table, orders: str) -> bytes:
    """The events later than the rows of these orders show; the rows are locked until the transaction ends.

    The events are as one snapshot has them; a row that somebody else held is as that one has left it."""
    return f"""
        SELECT later.*
        FROM ({orders}) AS wanted
        LEFT JOIN LATERAL (
            SELECT version FROM {table.name} WHERE order_id = wanted.order_id FOR UPDATE
        ) AS shown ON true
        CROSS JOIN LATERAL (
            SELECT {COLUMNS} FROM events
            WHERE aggregate_id = wanted.order_id AND version > coalesce(shown.version, 0)
            ORDER BY version LIMIT %(most)s
        ) AS later
    """.encode()


@cache
def lock(table: Table, orders: str) -> bytes:
    return f"""
        SELECT stored.*
        FROM ({orders}) AS wanted
        CROSS JOIN LATERAL (
            SELECT {_names(table)} FROM {table.name} WHERE order_id = wanted.order_id FOR UPDATE
        ) AS stored
    """.encode()


@cache
def upsert(table: Table, *, guarded: bool) -> bytes:
    """Of one row, whose values follow."""
    values = ", ".join("%s" for _ in table.columns)
    return f"INSERT INTO {table.name} ({_names(table)}) VALUES ({values}) {_or_update(table, guarded)}".encode()


@cache
def upsert_staged(table: Table, *, guarded: bool) -> bytes:
    """Of the rows in the table's staging table."""
    staged = f"SELECT {_names(table)} FROM staging_{table.name} ORDER BY {_key(table)}"
    return f"INSERT INTO {table.name} ({_names(table)}) {staged} {_or_update(table, guarded)}".encode()


@cache
def stage(table: Table) -> bytes:
    """A temporary table like this one, empty again after the transaction."""
    return f"""
        CREATE TEMPORARY TABLE IF NOT EXISTS staging_{table.name} (LIKE {table.name}) ON COMMIT DELETE ROWS;
        TRUNCATE staging_{table.name}
    """.encode()


@cache
def copy(table: Table, *, staged: bool, binary: bool) -> bytes:
    into = f"{'staging_' if staged else ''}{table.name} ({_names(table)})"
    return f"COPY {into} FROM STDIN {'(FORMAT binary)' if binary else ''}".encode()


def _or_update(table: Table, guarded: bool) -> str:
    """`guarded` leaves a row alone that shows as late a version."""
    changes = ", ".join(f"{column.name} = excluded.{column.name}" for column in table.columns if not column.primary_key)
    guard = f"WHERE {table.name}.version < excluded.version" if guarded else ""
    return f"ON CONFLICT ({_key(table)}) DO UPDATE SET {changes} {guard} RETURNING order_id"


def _names(table: Table) -> str:
    return ", ".join(table.columns.keys())


def _key(table: Table) -> str:
    return ", ".join(table.primary_key.columns.keys())
