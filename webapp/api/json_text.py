"""JSON in and out with exact numbers: Decimal both ways, never a float."""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import simplejson
from flask.json.provider import JSONProvider

Path = tuple[int | str, ...]

MOST_MEMBERS = 100  # of an object
MOST_VALUES = 1000  # of a body: enough for a hundred objects with ten members each
MOST_STRINGS = 2 * (MOST_VALUES + 1)  # that so many values, and the names of members, can be
LONGEST_NAME = 100  # of a member; an answer that repeats it is longer still

# Without its quotes' pairs there are as many values as commas and opening brackets. It matches half a string too, and
# never goes back, so that it is linear.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


class InvalidJson(ValueError):
    """The text is not JSON (RFC 8259) in UTF-8."""


class MalformedJson(InvalidJson):
    def __init__(self, error: json.JSONDecodeError) -> None:
        super().__init__(f"The body is not JSON: {error.msg} at line {error.lineno} column {error.colno}.")


class TooManyValues(ValueError):
    """The text has more values than any good body, or longer names; the message says what is allowed."""


class Members(dict[str, Any]):
    """A JSON object. `repeated` are the keys it has twice, which RFC 8259 leaves undefined."""

    repeated: Collection[str] = ()


def parse(body: bytes) -> Any:
    """Numbers become int or Decimal, objects Members. Raises InvalidJson, TooManyValues."""
    structure = _STRING.sub(b"", body, count=MOST_STRINGS)
    if sum(map(structure.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise TooManyValues(f"must not have over {MOST_VALUES} values")
    try:
        return json.loads(
            body.decode(),
            parse_int=_number,
            parse_float=_number,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        raise InvalidJson("The body is not UTF-8.") from error
    except RecursionError as error:
        raise InvalidJson("The body is nested too deeply.") from error
    except json.JSONDecodeError as error:
        raise MalformedJson(error) from error


def _number(text: str) -> int | Decimal:
    """Exponents that Decimal cannot hold become infinite, and are refused as out of range like any other."""
    if len(text) < 20 and text.lstrip("-").isdigit():
        return int(text)
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("Infinity")


def _refuse_constant(name: str) -> None:
    raise InvalidJson(f"The body is not JSON: {name} is not a JSON number.")


def _object(pairs: Sequence[tuple[str, Any]]) -> Members:
    if len(pairs) > MOST_MEMBERS:
        raise TooManyValues(f"must not have objects of over {MOST_MEMBERS} members")
    if any(len(name) > LONGEST_NAME for name, _ in pairs):
        raise TooManyValues(f"must not have members with names of over {LONGEST_NAME} characters")
    members = Members()
    repeated: dict[str, None] = {}  # a set that keeps the order
    for name, value in pairs:
        key = name.encode(errors="replace").decode()  # no known key has a lone surrogate, and no answer may
        if key in members:
            repeated[key] = None
        members[key] = value
    if repeated:
        members.repeated = repeated
    return members


def repeated(value: object) -> Iterator[Path]:
    """The keys that an object has twice, wherever in the text it is."""
    found: list[tuple[Path, object]] = [((), value)]
    while found:
        path, part = found.pop()
        if isinstance(part, Members):
            yield from ((*path, key) for key in part.repeated)
        within = part.items() if isinstance(part, Members) else enumerate(part) if isinstance(part, list) else ()
        found.extend(((*path, key), each) for key, each in within if isinstance(each, Members | list))


class ExactJson(JSONProvider):
    """Answers: amounts as JSON numbers with the digits they have, text as itself, times in RFC 3339 UTC."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return simplejson.dumps(obj, use_decimal=True, ensure_ascii=False, default=_time, **kwargs)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return simplejson.loads(s, use_decimal=True, **kwargs)


def _time(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no JSON form here.")
