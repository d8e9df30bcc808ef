"""The SQL that the writer sends, made once per table or read model, since it runs for each event."""

from functools import cache
from typing import Any

from sqlalchemy import Table

from core.event_sourcing.postgres_store import COLUMNS
from core.projection.read_model import ReadModel, Sums

# Projections of one order into one read model take turns, which a row that is not there yet could not see to. Whoever
# needs several locks takes them in one order, so that nobody waits in a circle.
TAKE_TURNS = b"""
    SELECT pg_advisory_xact_lock(hashtext(%s), key)
    FROM (SELECT DISTINCT hashtext(order_id) AS key FROM unnest(%s::text[]) AS order_id ORDER BY key) AS keys
"""

# One order has statements of its own, which PostgreSQL does not plan anew each time.
ONE = "SELECT %(order_ids)s::text AS order_id"
MANY = "SELECT unnest(%(order_ids)s::text[]) AS order_id ORDER BY order_id"


@cache
def read_news(table: Table, orders: str) -> bytes:
    """For each of these orders its later events, beside the row, which is locked until the transaction ends.

    The events are as one snapshot has them; a row that somebody else held is as that one has left it."""
    return f"""
        SELECT later.*, shown.*
        FROM ({orders}) AS wanted
        LEFT JOIN LATERAL (
            SELECT {names(table)} FROM {table.name} WHERE order_id = wanted.order_id FOR UPDATE
        ) AS shown ON true
        LEFT JOIN LATERAL (
            SELECT {COLUMNS} FROM events
            WHERE aggregate_id = wanted.order_id AND version > coalesce(shown.version, 0)
            ORDER BY version LIMIT %(most)s
        ) AS later ON true
    """.encode()


@cache
def read_table(table: Table, orders: str) -> bytes:
    return f"SELECT {names(table)} FROM {table.name} JOIN ({orders}) AS wanted USING (order_id)".encode()


@cache
def save(model: ReadModel[Any], *, new: bool) -> bytes:
    """Write one row of the first table, whose values are named after its columns; and what it changes in the sums."""
    table = model.tables[0]
    columns = [column.name for column in table.columns]
    values = ", ".join(f"%({column})s" for column in columns)
    changes = ", ".join(f"{column} = %({column})s" for column in columns if column != "order_id")
    write = (
        f"INSERT INTO {table.name} ({names(table)}) VALUES ({values})"
        if new
        else f"UPDATE {table.name} SET {changes} WHERE order_id = %(order_id)s"
    )
    if not model.sums:
        return write.encode()
    before = f"SELECT * FROM {table.name} WHERE order_id = %(order_id)s"  # as it is when the statement begins
    counted = ", ".join(f"counted_{number} AS ({_count_change(sums)})" for number, sums in enumerate(model.sums))
    return f"WITH old AS ({before}), new AS ({write} RETURNING *), {counted} SELECT".encode()


def _count_change(sums: Sums) -> str:
    """From the rows `old` to the rows `new`; nothing where they count the same."""
    key, counted = ", ".join(sums.key), ", ".join(sums.counted)
    return f"""
        INSERT INTO {sums.table.name} ({key}, {counted}, folded)
        SELECT {key}, {", ".join(f"sum({name})" for name in sums.counted)}, false
        FROM (SELECT {key}, {counted} FROM ({sums.select.format(rows="new")}) AS added
              UNION ALL
              SELECT {key}, {", ".join(f"-{name}" for name in sums.counted)}
              FROM ({sums.select.format(rows="old")}) AS removed) AS changed
        GROUP BY {key} HAVING {" OR ".join(f"sum({name}) <> 0" for name in sums.counted)}
    """


@cache
def count_rows(sums: Sums, sign: str) -> bytes:
    """Add what these orders' rows count now, or take it away."""
    key, counted = ", ".join(sums.key), ", ".join(sums.counted)
    rows = f"(SELECT * FROM {sums.of.name} WHERE order_id = ANY(%s)) AS chosen"
    return f"""
        INSERT INTO {sums.table.name} ({key}, {counted}, folded)
        SELECT {key}, {", ".join(f"{sign}{name}" for name in sums.counted)}, false
        FROM ({sums.select.format(rows=rows)}) AS counted
    """.encode()


@cache
def insert_unless_there(table: Table) -> bytes:
    return f"{_insert(table)} ON CONFLICT (order_id) DO NOTHING RETURNING order_id".encode()


@cache
def save_part(table: Table) -> bytes:
    changes = ", ".join(f"{column.name} = excluded.{column.name}" for column in table.columns if not column.primary_key)
    then = f"UPDATE SET {changes}" if changes else "NOTHING"
    return f"{_insert(table)} ON CONFLICT ({', '.join(key(table))}) DO {then}".encode()


@cache
def delete_part(table: Table) -> bytes:
    condition = " AND ".join(f"{name} = %s" for name in key(table))
    return f"DELETE FROM {table.name} WHERE {condition}".encode()


@cache
def copy(table: Table) -> bytes:
    return f"COPY {table.name} ({names(table)}) FROM STDIN".encode()


@cache
def delete(table: Table) -> bytes:
    return f"DELETE FROM {table.name} WHERE order_id = ANY(%s)".encode()


def _insert(table: Table) -> str:
    return f"INSERT INTO {table.name} ({names(table)}) VALUES ({', '.join('%s' for _ in table.columns)})"


def names(table: Table) -> str:
    return ", ".join(column.name for column in table.columns)


def key(table: Table) -> list[str]:
    return [column.name for column in table.primary_key]
