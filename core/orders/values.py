"""The rules for single values. Each function returns the value an event may hold, or raises InvalidValue."""

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any
from unicodedata import normalize

from core.orders.errors import InvalidValue

NAME_LENGTH = 200
REASON_LENGTH = 1000
TRACKING_NUMBER_LENGTH = 100
LARGEST_AMOUNT = Decimal("999999999999.99")
LARGEST_QUANTITY = 1_000_000
MAX_ITEMS = 1000  # of one order, unless the service is told another number

# Characters that need no escaping in a URL (RFC 3986, section 2.3); "." and ".." would be resolved away there.
ORDER_ID = r"[A-Za-z0-9][A-Za-z0-9._~-]{0,63}"

# For a character class: Cc, which a terminal obeys, and what changes the direction of the text that follows.
DIRECTIONS = r"\u202a-\u202e\u2066-\u2069"
CONTROLS = rf"\x00-\x1f\x7f-\x9f{DIRECTIONS}"
CONTROLS_BUT_LINES = rf"\x00-\x08\x0b-\x1f\x7f-\x9f{DIRECTIONS}"

_CENT = Decimal("0.01")
_WIDE = Context(prec=50)


def order_id(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(ORDER_ID, value):
        raise InvalidValue(
            "order_id", "must be 1 to 64 letters, digits, '-', '.', '_' or '~', the first a letter or digit"
        )
    return value


def customer_name(value: object) -> str:
    return _plain("customer_name", value, NAME_LENGTH)


def name_to_find(value: object) -> str:
    """A customer's name that an event may hold; those of long ago may hold control characters."""
    if isinstance(value, str):  # in the form that is compared it may be shorter than in the event, or longer
        value = min(value, normalize("NFC", value), key=len)
    return _text("customer_name", value, NAME_LENGTH)


def product_name(value: object) -> str:
    return _plain("product_name", value, NAME_LENGTH)


def reason(value: object) -> str:
    return _plain("reason", value, REASON_LENGTH, CONTROLS_BUT_LINES, "control characters other than newline and tab")


def tracking_number(value: object) -> str:
    return _plain("tracking_number", value, TRACKING_NUMBER_LENGTH)


def amount(field: str, value: object) -> Decimal:
    """Money from 0, with two places."""
    number = _number(field, value)
    if not 0 <= number <= LARGEST_AMOUNT:
        raise InvalidValue(field, f"must be from 0 to {LARGEST_AMOUNT}")
    rounded = number.copy_abs().quantize(_CENT, ROUND_HALF_EVEN, _WIDE)  # the absolute value turns -0 into 0
    if rounded != number:
        raise InvalidValue(field, "must have at most two decimal places")
    return rounded


def total_amount(value: object) -> Decimal:
    checked = amount("total_amount", value)
    if checked == 0:
        raise InvalidValue("total_amount", "must be greater than 0")
    return checked


def unit_price(value: object) -> Decimal:
    return amount("unit_price", value)


def quantity(value: object) -> int:
    return whole_number("quantity", value, LARGEST_QUANTITY)


def whole_number(field: str, value: object, largest: int) -> int:
    """From 1; a Decimal such as 2.0 counts as whole, as in JSON Schema."""
    number = _number(field, value)
    if not 0 < number <= largest or number != number.to_integral_value():
        raise InvalidValue(field, f"must be a whole number from 1 to {largest}")
    return int(number)


def moment(value: datetime | None) -> datetime:
    """The given time in UTC. Services pass theirs; only a plain shell leaves it out and gets the time it is."""
    if value is None:
        return datetime.now(UTC)
    if value.tzinfo is None:
        raise InvalidValue("now", "must carry a time zone")
    return value.astimezone(UTC)


def storable(field: str, value: object) -> str:
    """Text that PostgreSQL stores."""
    if not isinstance(value, str):
        raise InvalidValue(field, "must be a string")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidValue(field, "must not contain NUL characters or lone surrogates")
    return value


def without_controls(value: object) -> Any:
    """What commands accept of a text that an event of long ago may hold."""
    return re.sub(f"[{CONTROLS}]", "", value) if isinstance(value, str) else value


def _plain(field: str, value: object, longest: int, refused: str = CONTROLS, called: str = "control characters") -> str:
    checked = _text(field, value, longest)
    if re.search(f"[{refused}]", checked):
        raise InvalidValue(field, f"must not contain {called}, or bidirectional controls (U+202A-202E, U+2066-2069)")
    return checked


def _text(field: str, value: object, longest: int) -> str:
    if isinstance(value, str) and len(value) > longest:  # before anything looks at each character
        raise InvalidValue(field, f"must be at most {longest} characters long")
    value = storable(field, value)
    if not any(character.isprintable() and character != " " for character in value):
        raise InvalidValue(field, "must not be blank")
    return value


def _number(field: str, value: object) -> Decimal:
    """Floats are refused because they are not exact, booleans because they are not numbers."""
    if isinstance(value, float):
        raise InvalidValue(field, "must be an int or a Decimal, not a float")
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise InvalidValue(field, "must be a number")
    number = Decimal(value)
    if not number.is_finite():
        raise InvalidValue(field, "must be a finite number")
    return number
