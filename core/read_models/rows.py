"""Rows that belong to one order and carry the version they show: reading them to change them, and writing them."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any

from psycopg import sql
from psycopg.errors import UniqueViolation
from sqlalchemy import ColumnElement, MetaData, Table, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.event_sourcing.ids import IdList

Values = Sequence[Any]  # of one row, in the order of the table's columns; the first is the order's id


def lock_rows(session: Session, table: Table, order_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rows there are, by order id, locked until the transaction ends; in id order, which rules out deadlocks."""
    query = select(table).where(IdList(order_ids).among(table.c.order_id)).order_by(table.c.order_id).with_for_update()
    return {row["order_id"]: dict(row) for row in session.execute(query).mappings()}


def upsert_rows(session: Session, table: Table, rows: Sequence[Values]) -> set[str]:
    """Write whole rows unless a later version is stored by now. Returns the ids of the orders written."""
    return _upsert(session, table, rows, table.c.version < insert(table).excluded.version)


def upsert_parts(session: Session, table: Table, rows: Sequence[Values]) -> None:
    """Write rows of a table that follows a row which this transaction has written."""
    _upsert(session, table, rows, None)


def replace_rows(session: Session, table: Table, rows: Sequence[Values], locked: Collection[str]) -> set[str]:
    """Write whole rows: over those that this transaction has locked, whatever they show; else as `upsert_rows` does.

    Returns the ids of the orders written."""
    held = [row for row in rows if row[0] in locked]
    replaced = {row[0] for row in held}
    delete_rows(session, table, replaced)
    _copy(session, table, held)
    return replaced | _insert_rows(session, table, [row for row in rows if row[0] not in locked])


def _insert_rows(session: Session, table: Table, rows: Sequence[Values]) -> set[str]:
    """As `upsert_rows` does; at less than half its cost if nobody has written one of them meanwhile."""
    if len(rows) >= FEW:
        with suppress(UniqueViolation), session.begin_nested():
            _copy(session, table, rows)
            return {row[0] for row in rows}
    return upsert_rows(session, table, rows)


def replace_parts(session: Session, table: Table, rows: Sequence[Values], order_ids: Collection[str]) -> None:
    """Write all rows of these orders in a table that follows a row which this transaction has written."""
    delete_rows(session, table, order_ids)
    _copy(session, table, rows)


def delete_rows(session: Session, table: Table, order_ids: Collection[str]) -> None:
    if order_ids:
        session.execute(delete(table).where(IdList(order_ids).among(table.c.order_id)))


FEW = 20  # rows; from here on COPY is quicker


def _upsert(session: Session, table: Table, rows: Sequence[Values], guard: ColumnElement[bool] | None) -> set[str]:
    if not rows:
        return set()
    statement = insert(table)
    if len(rows) < FEW:
        names = table.columns.keys()
        statement = statement.values([dict(zip(names, row, strict=True)) for row in rows])
    else:
        staging = _stage(session, table, rows)
        statement = statement.from_select(table.columns.keys(), select(staging).order_by(*staging.primary_key))
    statement = statement.on_conflict_do_update(
        constraint=table.primary_key,
        set_={column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key},
        where=guard,
    )
    return set(session.execute(statement.returning(table.c.order_id)).scalars().all())


def _stage(session: Session, table: Table, rows: Sequence[Values]) -> Table:
    """A temporary table with these rows, empty again after the transaction."""
    staging = table.to_metadata(MetaData(), name=f"staging_{table.name}")
    make = "CREATE TEMPORARY TABLE IF NOT EXISTS {staging} (LIKE {table}) ON COMMIT DELETE ROWS; TRUNCATE {staging}"
    names = {"staging": sql.Identifier(staging.name), "table": sql.Identifier(table.name)}
    with closing(session.connection().connection.cursor()) as cursor:
        cursor.execute(sql.SQL(make).format(**names))
    _copy(session, staging, rows)
    return staging


def _copy(session: Session, table: Table, rows: Sequence[Values]) -> None:
    if not rows:
        return
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns.keys()))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
    with closing(session.connection().connection.cursor()) as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def ids_behind(session: Session, table: Table, versions: Mapping[str, int]) -> list[str]:
    """Those orders, of the ones given with a version, whose row is missing or shows an earlier version."""
    query = select(table.c.order_id, table.c.version).where(IdList(versions).among(table.c.order_id))
    stored = dict(session.execute(query).all())
    return [order_id for order_id, version in versions.items() if stored.get(order_id, 0) < version]
