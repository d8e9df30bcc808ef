"""Rows of the events table of the original Rails service, read as lines of an export.

`event_data` may be a JSON object, JSON in a string, or a Ruby hash as `inspect` writes it; keys are strings or symbols.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from core.orders import values
from core.orders.errors import InvalidValue

ORDER = "Domain::Orders::Order"
EVENTS = "Domain::Orders::Events::"

PAIR = re.compile(
    r'\s*(?::(?P<symbol>\w+)\s*=>|"(?P<string>\w+)"\s*=>|(?P<label>\w+):)'
    r'\s*(?P<value>"(?:[^"\\]|\\.)*"|[^\s,"{}][^,"{}]*)(?:,|\Z)'
)
ESCAPE = re.compile(r"\\(?:u\{(?P<long>\w+)\}|u(?P<short>\w{4})|(?P<letter>.))", re.DOTALL)
LETTERS = {"n": "\n", "t": "\t", "r": "\r", "e": "\x1b", "a": "\a", "b": "\b", "v": "\v", "f": "\f", "0": "\0"}

# As Ruby writes zones: "2025-01-01 10:00:00 UTC", "… UTC +00:00", "… +0900".
ZONE = re.compile(r"(?: UTC)?(?: ([+-]\d\d):?(\d\d))?\Z")


def line_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row in the form of an exported line. Raises InvalidValue."""
    if row.get("aggregate_type", ORDER) != ORDER:
        raise InvalidValue("aggregate_type", f"must be {ORDER}")
    event_type = str(row.get("event_type")).removeprefix(EVENTS)
    fields = FIELDS.get(event_type)
    if fields is None:
        raise InvalidValue("event_type", f"must be {EVENTS} and one of {', '.join(FIELDS)}")
    order_id, occurred_at = row.get("aggregate_id"), _time("occurred_at", row.get("occurred_at"))
    data = {"order_id": order_id, **_hash(row.get("event_data"))}
    if unknown := data.keys() - fields.keys():
        raise InvalidValue(
            "event_data", f"must not hold {', '.join(sorted(unknown))}, which {event_type} does not have"
        )
    for field, converted in fields.items():
        if field in data:
            data[field] = converted(field, data[field])
        elif converted is _time:
            data[field] = occurred_at
    return {
        "order_id": order_id,
        "version": row.get("version"),
        "type": event_type,
        "schema_version": 1,
        "data": data,
        "metadata": row.get("metadata") or {},
        "occurred_at": occurred_at,
    }


def _as_it_is(_: str, value: object) -> object:
    return value


def _amount(field: str, value: object) -> str:
    try:
        return str(values.amount(field, Decimal(str(value))))
    except InvalidOperation as error:
        raise InvalidValue(field, "must be an amount such as 10000 or 10000.0") from error


def _whole(_: str, value: object) -> object:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


def _time(field: str, value: object) -> str:
    """Rails stores UTC and does not say so."""
    try:
        moment = datetime.fromisoformat(ZONE.sub(lambda zone: f"{zone[1]}:{zone[2]}" if zone[1] else "", str(value)))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError) as error:
        raise InvalidValue(field, "must be a time such as 2025-01-01 10:00:00") from error


# What the events of the original hold; it will have no others.
FIELDS: dict[str, dict[str, Callable[[str, object], object]]] = {
    "OrderPlaced": {"order_id": _as_it_is, "customer_name": _as_it_is, "total_amount": _amount, "placed_at": _time},
    "OrderItemAdded": {
        "order_id": _as_it_is,
        "product_name": _as_it_is,
        "quantity": _whole,
        "unit_price": _amount,
        "added_at": _time,
    },
    "OrderConfirmed": {"order_id": _as_it_is, "confirmed_at": _time},
    "OrderCancelled": {"order_id": _as_it_is, "reason": _as_it_is, "cancelled_at": _time},
    "OrderShipped": {"order_id": _as_it_is, "tracking_number": _as_it_is, "shipped_at": _time},
}


def _hash(event_data: object) -> dict[str, object]:
    """By the names of its keys. Raises InvalidValue."""
    if isinstance(event_data, str):
        try:
            event_data = json.loads(event_data, parse_float=Decimal)
        except ValueError:
            event_data = dict(_pairs(str(event_data).strip()))
    if not isinstance(event_data, dict):
        raise InvalidValue("event_data", "must be a JSON object or a Ruby hash")
    return {key.removeprefix(":"): value for key, value in event_data.items()}


def _pairs(text: str) -> Iterator[tuple[str, object]]:
    """Of a Ruby hash without others in it. Values that are not quoted stay text, but for nil."""
    place, end = 1, len(text) - 1
    if text[:1] + text[-1:] != "{}":
        raise InvalidValue("event_data", "must be a JSON object or a Ruby hash")
    while place < end and text[place:end].strip():
        pair = PAIR.match(text, place, end)
        if pair is None:
            raise InvalidValue("event_data", "must be a Ruby hash of names with texts, numbers and times")
        value, place = pair["value"].strip(), pair.end()
        quoted = ESCAPE.sub(_character, value[1:-1]) if value.startswith('"') else value
        yield pair["symbol"] or pair["string"] or pair["label"], None if value == "nil" else quoted


def _character(escape: re.Match[str]) -> str:
    if code := escape["long"] or escape["short"]:
        return chr(int(code, 16))
    return LETTERS.get(escape["letter"], escape["letter"])
