"""The one writer of every read model: reads an order's row with its news, and saves the row, its parts and the sums."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any

from psycopg import Connection, Cursor
from psycopg.errors import UniqueViolation

from core.event_sourcing.postgres_store import COLUMNS
from core.projection import sql
from core.projection.read_model import ReadModel, SomeRow, Values

FEW = 20  # orders; from here on COPY is quicker than statements, which can share a round trip
EVENT = len(COLUMNS.split(", "))  # columns of an event

Stored = Mapping[str, Sequence[Sequence[Values]]]  # by order id, what each table holds of it


@dataclass(slots=True)
class News:
    """The rows of `events` that orders do not show yet; and what is stored of those that have a row."""

    events: list[Values] = field(default_factory=list)
    stored: dict[str, list[list[Values]]] = field(default_factory=dict)


def read_news(
    connection: Connection[Any], model: ReadModel[Any], order_ids: Sequence[str], most: int | None = None
) -> News:
    """Of these orders, `most` events each. Nobody else changes the rows there are until the transaction ends."""
    head, *parts = model.tables
    orders, wanted = _wanted(order_ids)
    later = connection.execute(sql.read_news(head, orders), {**wanted, "most": most})
    of_parts = [connection.execute(sql.read_table(part, orders), wanted) for part in parts]
    news = News()
    for row in later:
        if row[EVENT] is not None and row[EVENT] not in news.stored:
            news.stored[row[EVENT]] = [[row[EVENT:]], *([] for _ in parts)]
        if row[0] is not None:
            news.events.append(row[:EVENT])
    _sort_parts(news.stored, of_parts)
    return news


def read_stored(connection: Connection[Any], model: ReadModel[Any], order_ids: Sequence[str]) -> Stored:
    """What is stored of these orders, without a lock."""
    head, *parts = model.tables
    orders, wanted = _wanted(order_ids)
    heads = connection.execute(sql.read_table(head, orders), wanted)
    stored: dict[str, list[list[Values]]] = {row[0]: [[row], *([] for _ in parts)] for row in heads}
    _sort_parts(stored, [connection.execute(sql.read_table(part, orders), wanted) for part in parts])
    return stored


def _wanted(order_ids: Sequence[str]) -> tuple[str, dict[str, Any]]:
    if len(order_ids) == 1:
        return sql.ONE, {"order_ids": order_ids[0]}
    return sql.MANY, {"order_ids": list(order_ids)}


def _sort_parts(stored: Mapping[str, list[list[Values]]], of_parts: Sequence[Any]) -> None:
    for number, rows in enumerate(of_parts, start=1):
        for row in rows:
            if row[0] in stored:  # else the order's row was not there yet
                stored[row[0]][number].append(row)


def save(
    connection: Connection[Any], model: ReadModel[SomeRow], rows: Sequence[SomeRow], stored: Stored
) -> Callable[[], set[str]]:
    """Write rows made from what `read_news` has read. What this returns tells, once the transaction is over, of which
    orders it has written nothing: those that had no row, and that somebody has made one of meanwhile."""
    if len(rows) >= FEW:
        overtaken = replace(connection, model, rows, {row.order_id for row in rows if row.order_id in stored})
        return lambda: overtaken
    made = {row.order_id: _save_one(connection, model, model.to_tables(row), stored.get(row.order_id)) for row in rows}
    return lambda: {order_id for order_id, cursor in made.items() if cursor is not None and not cursor.fetchone()}


def _save_one(
    connection: Connection[Any],
    model: ReadModel[Any],
    row: Sequence[Sequence[Values]],
    before: Sequence[Sequence[Values]] | None,
) -> Cursor[Any] | None:
    """In statements that do not wait for one another. A new row's cursor holds its id if it was written."""
    head, values = model.tables[0], row[0][0]
    changed = [sums for sums in model.sums if before is None or sums.tells_apart(before[0][0], values)]
    named = {column.name: value for column, value in zip(head.columns, values, strict=True)}
    cursor = connection.execute(sql.save(head, tuple(changed), new=before is None), named)
    for number, table in enumerate(model.tables[1:], start=1):
        key = itemgetter(*(list(table.columns).index(column) for column in table.primary_key))
        was = {key(part): part for part in before[number]} if before else {}
        shall = {key(part): part for part in row[number]}
        for gone in was.keys() - shall.keys():
            connection.execute(sql.delete_part(table), gone)
        for name, part in shall.items():
            if before is None:
                connection.execute(sql.save_part_of_new(table, head), (*part, named["order_id"], named["version"]))
            elif was.get(name) != tuple(part):
                connection.execute(sql.save_part(table), part)
    return cursor if before is None else None


def replace(
    connection: Connection[Any], model: ReadModel[SomeRow], rows: Sequence[SomeRow], held: Collection[str]
) -> set[str]:
    """Write whole rows over those of the orders in `held`, which this transaction has locked; and new ones.

    Returns the orders of which nothing was written, because somebody has made their row meanwhile."""
    remove(connection, model, held)
    _copy(connection, model, [row for row in rows if row.order_id in held])
    new = [row for row in rows if row.order_id not in held]
    with suppress(UniqueViolation), connection.transaction():
        _copy(connection, model, new)
        return set()
    made = {row.order_id: _save_one(connection, model, model.to_tables(row), None) for row in new}
    return {order_id for order_id, cursor in made.items() if cursor is not None and not cursor.fetchone()}


def remove(connection: Connection[Any], model: ReadModel[Any], order_ids: Collection[str]) -> None:
    """What is stored of these orders, whose rows this transaction has locked."""
    if order_ids:
        for sums in model.sums:
            connection.execute(sql.count_rows(sums, "-"), [list(order_ids)])
        for table in model.tables:
            connection.execute(sql.delete(table), [list(order_ids)])


def _copy(connection: Connection[Any], model: ReadModel[SomeRow], rows: Sequence[SomeRow]) -> None:
    if not rows:
        return
    for table, of_rows in zip(model.tables, zip(*map(model.to_tables, rows), strict=True), strict=True):
        with connection.cursor() as cursor, cursor.copy(sql.copy(table)) as copy:
            for values in chain.from_iterable(of_rows):
                copy.write_row(values)
    for sums in model.sums:
        connection.execute(sql.count_rows(sums, ""), [[row.order_id for row in rows]])
