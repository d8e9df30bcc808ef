"""The types that COPY in binary is told of: those of the columns, or none if the driver cannot write one of them."""

import struct

import psycopg
import pytest
from psycopg.pq import Format
from sqlalchemy import (
    CHAR,
    REAL,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Enum,
    Float,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, MONEY, TIMESTAMP, UUID
from sqlalchemy.types import TypeEngine

from core.projection.copying import Int2, Int4, binary_types
from core.read_models.wiring import PROJECTORS

BINARY = [
    (Text(), "text"),
    (SmallInteger(), "int2"),
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
TEXT_ONLY = [Float(), REAL(), CHAR(3), MONEY(), Enum("new", "old", name="kind"), Text(collation="C")]


def table_with(of_column: TypeEngine[object]) -> Table:
    return Table("some", MetaData(), Column("value", of_column))


@pytest.mark.parametrize(("of_column", "name"), BINARY, ids=str)
def test_a_type_is_the_one_of_the_column(of_column: TypeEngine[object], name: str) -> None:
    types = binary_types(table_with(of_column))

    assert types is not None
    assert [psycopg.adapters.types.get_oid(each) for each in types] == [psycopg.adapters.types.get_oid(name)]


@pytest.mark.parametrize("of_column", TEXT_ONLY, ids=repr)
def test_a_table_with_a_type_that_the_driver_does_not_write_is_copied_as_text(of_column: TypeEngine[object]) -> None:
    assert binary_types(table_with(of_column)) is None


def test_the_read_models_are_copied_in_binary() -> None:
    for projector in PROJECTORS.values():
        assert all(binary_types(table) for table in projector.tables)


@pytest.mark.parametrize(("dumper", "least", "most"), [(Int4, -(2**31), 2**31 - 1), (Int2, -(2**15), 2**15 - 1)])
def test_a_number_that_does_not_fit_is_refused(dumper: type[Int4], least: int, most: int) -> None:
    dump = dumper(int).dump

    assert dumper.format is Format.BINARY
    assert [int.from_bytes(dump(number), signed=True) for number in (least, 0, most)] == [least, 0, most]
    for number in (least - 1, most + 1, 2.5, "2"):
        with pytest.raises(struct.error):
            dump(number)
