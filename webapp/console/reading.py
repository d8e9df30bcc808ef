"""Reading the fields of a form. An empty field counts as left out; one that cannot be read is told beside it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from flask_babel import gettext as _

from core.orders import values
from core.orders.errors import InvalidValue

Value = TypeVar("Value")


class Form:
    """`given` is what came, to be shown again; `faults` has a sentence per field that could not be read."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self.given = given
        self.faults: dict[str, str] = {}

    def read(self, name: str, parse: Callable[[str], Value], advice: str) -> Value | None:
        """`parse` raises ValueError or InvalidValue for what the advice is shown."""
        text = self.given.get(name, "").strip()
        if not text:
            return None
        try:
            return parse(text)
        except (ValueError, InvalidValue):
            self.faults[name] = advice
            return None

    def amount(self, name: str) -> Decimal | None:
        return self.read(name, _amount, _("Write an amount such as 1500 or 99.50."))

    def moment(self, name: str) -> datetime | None:
        """Of an input of the type datetime-local, taken as UTC."""
        return self.read(name, _moment, _("Write a time such as 2026-01-31T09:00."))


def _amount(text: str) -> Decimal:
    try:
        return values.amount("amount", Decimal(text.replace(",", "")))
    except InvalidOperation as error:
        raise ValueError("not a number") from error


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
