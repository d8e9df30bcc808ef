"""What a query costs: the pages that PostgreSQL reads for it, cached or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.rows import tuple_row


@contextmanager
def pages_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """By each query that the block sends, through SQLAlchemy or past it."""
    found: list[int] = []
    execute = psycopg.Cursor.execute

    def explain(cursor: psycopg.Cursor[Any], query: Any, parameters: Any = None, **options: Any) -> Any:
        sql = query.decode() if isinstance(query, bytes) else str(query)
        if sql.lstrip().startswith(("SELECT", "WITH")):
            with cursor.connection.cursor(row_factory=tuple_row) as other:
                execute(other, f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", parameters)
                [(plans,)] = other.fetchall()
            found.append(plans[0]["Plan"]["Shared Hit Blocks"] + plans[0]["Plan"]["Shared Read Blocks"])
        return execute(cursor, query, parameters, **options)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Cursor, "execute", explain)
        yield found
