"""COPY of many rows into a table: in binary if the driver can write all its columns so, else as text.

As text a row takes three times as long to write down, most of it for its times."""

import re
from collections.abc import Sequence
from functools import cache
from struct import Struct
from typing import Any

from psycopg import Connection, ProgrammingError, adapters
from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql.base import PGDialect

from core.projection import row_sql


class Int4(Dumper):
    """Raises struct.error for a number that does not fit; psycopg 3.3's own dumper cuts it off without a word."""

    format, oid, _packed = Format.BINARY, adapters.types["int4"].oid, Struct("!i")

    def dump(self, obj: Any) -> bytes:
        return self._packed.pack(obj)


class Int2(Int4):
    oid, _packed = adapters.types["int2"].oid, Struct("!h")


def copy_rows(
    connection: Connection[Any], table: Table, rows: Sequence[Sequence[Any]], *, staged: bool = False
) -> None:
    """Into the table, or the staging table that stands for it. What a column cannot hold raises, and nothing is copied.

    Values of a binary copy must be of their columns' own kinds: PostgreSQL casts none of them."""
    types = binary_types(table)
    with connection.cursor() as cursor:
        for dumper in (Int4, Int2):
            cursor.adapters.register_dumper(None, dumper)
        with cursor.copy(row_sql.copy(table, staged=staged, binary=types is not None)) as copy:
            if types is not None:
                copy.set_types(types)
            for row in rows:
                copy.write_row(row)


@cache
def binary_types(table: Table) -> list[str] | None:
    """PostgreSQL's names of the columns' types; None if the driver does not write one of them rightly.

    It knows some not at all or as text only, and makes infinity of what is too large for `real`."""
    dialect = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy 2.1 gives it no types
    names = [re.sub(r"\(.*?\)", "", column.type.compile(dialect)).lower() for column in table.columns]
    try:
        for name in names:
            adapters.get_dumper_by_oid(adapters.types.get_oid(name), Format.BINARY)
    except (KeyError, ProgrammingError):
        return None
    return None if "real" in names else names
