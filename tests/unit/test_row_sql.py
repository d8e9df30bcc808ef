"""The names of types that COPY in binary is told are those that the driver knows."""

import psycopg
import pytest
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Double, Integer, MetaData, Numeric, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, UUID
from sqlalchemy.types import TypeEngine

from core.read_models.row_sql import types
from core.read_models.wiring import PROJECTORS

KNOWN = [
    (Text(), "text"),
    (Integer(), "int4"),
    (BigInteger(), "int8"),
    (Numeric(14, 2), "numeric"),
    (Double(), "float8"),
    (Boolean(), "bool"),
    (Date(), "date"),
    (DateTime(timezone=True), "timestamptz"),
    (TIMESTAMP(timezone=True, precision=3), "timestamptz"),
    (DateTime(), "timestamp"),
    (UUID(), "uuid"),
    (JSONB(), "jsonb"),
    (ARRAY(Text), "text[]"),
]


@pytest.mark.parametrize(("of_column", "name"), KNOWN, ids=str)
def test_a_type_is_the_one_of_the_column(of_column: TypeEngine[object], name: str) -> None:
    [told] = types(Table("some", MetaData(), Column("value", of_column)))

    assert psycopg.adapters.types.get_oid(told) == psycopg.adapters.types.get_oid(name)


def test_every_column_of_a_read_model_has_one() -> None:
    for projector in PROJECTORS.values():
        for table in projector.tables:
            assert all(psycopg.adapters.types.get_oid(name) for name in types(table))
