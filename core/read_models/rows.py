"""Rows that belong to one order and carry the version they show: reading them to change them, and writing them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Table, Text, any_, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session


def lock_rows(session: Session, table: Table, order_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rows there are, by order id, locked until the transaction ends; in id order, which rules out deadlocks."""
    query = select(table).where(table.c.order_id.in_(order_ids)).order_by(table.c.order_id).with_for_update()
    return {row["order_id"]: dict(row) for row in session.execute(query).mappings()}


def upsert_rows(
    session: Session, table: Table, rows: Sequence[Mapping[str, Any]], *, locked: Collection[str] = ()
) -> set[str]:
    """Write whole rows unless a later version is stored by now; rows in `locked` are overwritten even then.

    Returns the ids of the orders written."""
    new = insert(table).excluded
    guard = (table.c.version < new.version) | (table.c.order_id == any_(literal(list(locked), ARRAY(Text))))
    return _upsert(session, table, rows, guard)


def upsert_parts(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of a table that follows a row which this transaction has written."""
    _upsert(session, table, rows, None)


def _upsert(
    session: Session, table: Table, rows: Sequence[Mapping[str, Any]], guard: ColumnElement[bool] | None
) -> set[str]:
    if not rows:
        return set()
    statement = insert(table)
    statement = statement.on_conflict_do_update(
        constraint=table.primary_key,
        set_={column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key},
        where=guard,
    )
    written = session.execute(statement.returning(table.c.order_id), list(rows))
    return set(written.scalars())


def ids_behind(session: Session, table: Table, versions: Mapping[str, int]) -> list[str]:
    """Those orders, of the ones given with a version, whose row is missing or shows an earlier version."""
    query = select(table.c.order_id, table.c.version).where(table.c.order_id.in_(versions))
    stored = dict(session.execute(query).all())
    return [order_id for order_id, version in versions.items() if stored.get(order_id, 0) < version]
