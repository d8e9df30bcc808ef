"""Which aggregates a statement is about: a range of ids, or some."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import ARRAY, Column, ColumnElement, Text, any_, literal


class Ids(Protocol):
    def among(self, column: Column[str]) -> ColumnElement[bool]:
        """The condition that the column holds one of them."""


@dataclass(frozen=True, slots=True)
class IdRange:
    """From `from_id` to before `until_id`, or to the last if that is None; in the order of the database."""

    from_id: str = ""
    until_id: str | None = None

    def among(self, column: Column[str]) -> ColumnElement[bool]:
        begun = column >= self.from_id
        return begun if self.until_id is None else begun & (column < self.until_id)


@dataclass(frozen=True, slots=True)
class IdList:
    """The ids given; one parameter for all of them, so that the statement stays the same."""

    ids: Collection[str]

    def among(self, column: Column[str]) -> ColumnElement[bool]:
        return column == any_(literal(list(self.ids), ARRAY(Text)))
