"""What a read model declares: its tables, how an event changes an order's row, and the sums kept over all rows."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from sqlalchemy import Boolean, Column, Index, Table, Text, Uuid, func, text
from sqlalchemy.schema import SchemaItem

from core.database import metadata
from core.event_sourcing.event_store import RecordedEvent

Values = Sequence[Any]  # of one row of a table, in the order of its columns


class Row(Protocol):
    """What a read model keeps of one order; `version` is that of the last event it shows."""

    order_id: str
    version: int


SomeRow = TypeVar("SomeRow", bound=Row)


def order_table(name: str, *others: SchemaItem) -> Table:
    """A row per order, or, if other columns are in the primary key too, parts of orders."""
    return Table(name, metadata, Column("order_id", Text, primary_key=True), *others)


class Sums:
    """Counts and amounts of all orders by a key, so that nobody has to count rows.

    The table holds one folded row per key, and signed changes since: a transaction only adds changes, so none waits for
    another. `of` is the first table of the read model whose rows are counted; `select` is the SQL that counts those
    named by {rows}, and its columns are those of `key` and `counted`."""

    def __init__(
        self,
        name: str,
        *,
        of: Table,
        key: Sequence[Column[Any]],
        counted: Sequence[Column[Any]],
        select: str,
        indexes: Sequence[Index] = (),
    ) -> None:
        self.of, self.select = of, select
        self.key, self.counted = ([column.name for column in columns] for columns in (key, counted))
        named = set(re.findall(r"\w+", select))
        self._named = [number for number, column in enumerate(of.columns) if column.name in named]
        self.table = Table(
            name,
            metadata,
            # Nobody reads it: tables with a key can be published. A sequence could be behind, as after a replication.
            Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
            *key,
            *counted,
            Column("folded", Boolean, nullable=False),
            Index(f"{name}_key", *self.key, unique=True, postgresql_where=text("folded")),
            Index(f"{name}_changes", *self.key, postgresql_where=text("NOT folded")),
            *indexes,
        )

    def tells_apart(self, one: Values, other: Values) -> bool:
        """Whether these rows of `of` may count differently: whether a column differs that `select` names."""
        return any(one[number] != other[number] for number in self._named)


class ReadModel(ABC, Generic[SomeRow]):
    """`tables` all begin with `order_id`. The first has one row per order with its `version`; the others hold parts of
    it, each known by the order and the rest of its primary key."""

    tables: ClassVar[tuple[Table, ...]]
    sums: tuple[Sums, ...] = ()

    @abstractmethod
    def evolve(self, row: SomeRow | None, recorded: RecordedEvent) -> SomeRow:
        """The row after one more event, None before the first. May change the row it is given; the writer sets the
        version and refuses gaps. Reads no clock, no other order and no table, so that a rebuild gives the same."""

    @abstractmethod
    def to_tables(self, row: SomeRow) -> Sequence[Sequence[Values]]:
        """The rows of each table that hold it: one of the first, any number of the others."""

    @abstractmethod
    def from_tables(self, stored: Sequence[Sequence[Values]]) -> SomeRow:
        """The row that `to_tables` has written; parts come in any order."""


def keep_sums(models: Mapping[str, ReadModel[Any]], sums: Mapping[str, Sums]) -> None:
    """Let each read model's writer keep the sums over its first table. Raises ValueError for sums over another."""
    first = [model.tables[0] for model in models.values()]
    for name, each in sums.items():
        if each.of not in first:
            raise ValueError(f"The sums {name} are of {each.of.name}, which is not the first table of a read model.")
    for model in models.values():
        model.sums = tuple(each for each in sums.values() if each.of is model.tables[0])
