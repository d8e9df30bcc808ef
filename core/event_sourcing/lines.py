"""A line of a file of events: one of an export, or a row of the original Rails service."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.event_sourcing import rails
from core.event_sourcing.postgres_store import LAST_VERSION
from core.orders import values
from core.orders.errors import InvalidValue

LONGEST_LINE = 1_000_000  # bytes
MANY = 2**63 - 1

KEYS = ("order_id", "version", "type", "schema_version", "data", "metadata", "occurred_at")


def incoming_row(line: bytes) -> tuple[Any, ...] | int | None:
    """Order id, version, type, data and metadata as JSON, and time; of a first line the number of events that it
    promises; of a blank one nothing. Raises InvalidValue."""
    if not line.strip():
        return None
    if len(line) == LONGEST_LINE:
        raise InvalidValue("the line", f"must be shorter than {LONGEST_LINE} bytes")
    try:
        row = json.loads(line, parse_float=Decimal, parse_constant=Decimal)
    except (ValueError, RecursionError) as error:
        raise InvalidValue("the line", "must be a JSON object") from error
    if not isinstance(row, dict):
        raise InvalidValue("the line", "must be a JSON object")
    if row.keys() == {"events"}:
        return values.whole_number("events", row["events"], MANY) if row["events"] != 0 else 0
    if "event_type" in row:
        row = rails.line_of(row)
    for key in KEYS:
        if key not in row:
            raise InvalidValue(key, "is missing")
    if unknown := row.keys() - set(KEYS):
        raise InvalidValue(", ".join(sorted(unknown)), "must not be there")
    schema_version = values.whole_number("schema_version", row["schema_version"], LAST_VERSION)
    return (
        values.order_id(row["order_id"]),
        values.whole_number("version", row["version"], LAST_VERSION),
        values.storable("type", row["type"]),
        json.dumps(_flat("data", row["data"], int)),
        json.dumps({**_flat("metadata", row["metadata"]), "schema_version": schema_version}),
        _moment(row["occurred_at"]),
    )


def _flat(field: str, value: object, *kinds: type) -> dict[str, Any]:
    """A JSON object of strings and values of these kinds. Raises InvalidValue."""
    if not isinstance(value, dict):
        raise InvalidValue(field, "must be a JSON object")
    for name, part in value.items():
        values.storable(field, name)
        if type(part) not in kinds:
            values.storable(f"{field}.{name}", part)
    return value


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidValue("occurred_at", "must be a time with its zone, such as 2026-01-01T12:00:00+00:00")
