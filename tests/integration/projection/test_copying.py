"""Many rows into a table at once, in binary and, for a type that the driver does not write so, as text."""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from psycopg.errors import NumericValueOutOfRange
from sqlalchemy import REAL, Column, DateTime, Integer, MetaData, Numeric, Table, Text
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.projection.copying import copy_rows

WITHOUT_REAL = Table(
    "copied",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("number", Integer),
    Column("amount", Numeric(14, 2)),
    Column("at", DateTime(timezone=True)),
)
WITH_REAL = Table("copied", MetaData(), Column("name", Text, primary_key=True), Column("share", REAL))

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def copied(sessions: sessionmaker[Session], table: Table, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    with sessions() as session:  # rolled back, and the table with it
        table.create(session.connection())
        copy_rows(driver_connection(session), table, rows)
        return [tuple(row) for row in session.execute(table.select().order_by(table.c.name))]


def test_values_arrive_as_they_are(sessions: sessionmaker[Session]) -> None:
    rows = [("a\tb\\", -(2**31), Decimal("0.05"), AT), ("山田", None, Decimal("999999999999.99"), None)]

    assert copied(sessions, WITHOUT_REAL, rows) == rows


def test_a_type_that_is_copied_as_text_arrives_too(sessions: sessionmaker[Session]) -> None:
    assert copied(sessions, WITH_REAL, [("half", 0.5), ("none", None)]) == [("half", 0.5), ("none", None)]


@pytest.mark.parametrize(
    ("table", "row", "refusal"),
    [(WITHOUT_REAL, ("a", 2**31, None, None), struct.error), (WITH_REAL, ("a", 1e300), NumericValueOutOfRange)],
    ids=["integer", "real"],
)
def test_what_a_column_cannot_hold_is_refused(
    sessions: sessionmaker[Session], table: Table, row: Sequence[Any], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        copied(sessions, table, [row])
