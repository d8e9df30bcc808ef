"""The SQL that the writer sends, made once per table or read model, since it runs for each event."""

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Table

from core.event_sourcing.postgres_store import COLUMNS
from core.projection.read_model import Sums

# One order has statements of its own, which PostgreSQL does not plan anew each time.
ONE = "SELECT %(order_ids)s::text AS order_id"
MANY = "SELECT unnest(%(order_ids)s::text[]) AS order_id ORDER BY order_id"


@cache
def read_news(table: Table, orders: str) -> bytes:
    """For each of these orders its later events, beside the row, which is locked until the transaction ends.

    The events are those of one moment; a row that somebody else held is as that one has left it."""
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
def save(table: Table, counted: Sequence[Sums], *, new: bool) -> bytes:
    """Write one row, whose values are named after the columns, and what it changes in these sums.

    A new row is not written if there is one by now; the statement returns its id if it is."""
    columns = [column.name for column in table.columns]
    values = ", ".join(f"%({column})s" for column in columns)
    changes = ", ".join(f"{column} = %({column})s" for column in columns if column != "order_id")
    write = (
        f"INSERT INTO {table.name} ({names(table)}) VALUES ({values}) ON CONFLICT (order_id) DO NOTHING"
        if new
        else f"UPDATE {table.name} SET {changes} WHERE order_id = %(order_id)s"
    )
    if not counted:
        return f"{write} RETURNING order_id".encode()
    before = f"SELECT * FROM {table.name} WHERE {'false' if new else 'order_id = %(order_id)s'}"  # at the beginning
    change = ", ".join(f"counted_{number} AS ({_count_change(sums)})" for number, sums in enumerate(counted))
    return f"WITH old AS ({before}), new AS ({write} RETURNING *), {change} SELECT order_id FROM new".encode()


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
def save_part(table: Table) -> bytes:
    values = ", ".join("%s" for _ in table.columns)
    return f"INSERT INTO {table.name} ({names(table)}) VALUES ({values}) {_or_update(table)}".encode()


@cache
def save_part_of_new(table: Table, head: Table) -> bytes:
    """Only if the order's row is of the version whose id and number follow: the one that goes with the part."""
    values = ", ".join("%s" for _ in table.columns)
    written = f"EXISTS (SELECT FROM {head.name} WHERE order_id = %s AND version = %s)"
    return f"INSERT INTO {table.name} ({names(table)}) SELECT {values} WHERE {written} {_or_update(table)}".encode()


def _or_update(table: Table) -> str:
    changes = ", ".join(f"{column.name} = excluded.{column.name}" for column in table.columns if not column.primary_key)
    return f"ON CONFLICT ({', '.join(key(table))}) DO {f'UPDATE SET {changes}' if changes else 'NOTHING'}"


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


def names(table: Table) -> str:
    return ", ".join(column.name for column in table.columns)


def key(table: Table) -> list[str]:
    return [column.name for column in table.primary_key]
