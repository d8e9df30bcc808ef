"""Rows as the comparison reads them, and how two differ."""

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row


def rows(connection: psycopg.Connection[Any], query: str) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()


def rows_by(column: str, connection: psycopg.Connection[Any], query: str) -> dict[str, dict[str, Any]]:
    return {row[column]: row for row in rows(connection, query)}


def fields_that_differ(shown: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    if not shown or not expected:
        yield "there is a row" if shown else "there is no row"
        return
    for name in shown.keys() | expected.keys():
        if shown.get(name) != expected.get(name):
            yield f"{name} is {shown.get(name)!r}, not {expected.get(name)!r}"
