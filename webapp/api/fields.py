"""The types of fields that operations share: how a value is read, and its JSON Schema. The rules are the domain's."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator, WithJsonSchema

from core.event_sourcing import feed
from core.event_sourcing.codec import EVENT_TYPES
from core.orders import values
from core.orders.errors import InvalidValue
from core.orders.order import Status
from core.read_models.summary import PageEnd
from webapp.api.cursor import decode_cursor

JsonSchema = dict[str, Any]

STATUSES = [status.value for status in Status]
MOST_PER_PAGE = 200
MOST_OF_FEED = 1000
LARGEST_COUNT = 10**18 - 1

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt](?:[01]\d|2[0-3]):\d\d):(\d\d)((?:\.\d+)?(?:[Zz]|[+-]\d\d:[0-5]\d))", re.ASCII
)
_DECIMAL = re.compile(r"\d{1,20}(\.\d{1,20})?", re.ASCII)


class Strict(BaseModel):
    """A body or a query: it has no other fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# JSON Schemas, with the limits that core/orders/values.py enforces.

CENT = Decimal("0.01")
MONEY: JsonSchema = {"type": "number", "format": "decimal", "multipleOf": CENT}
AMOUNT: JsonSchema = {**MONEY, "minimum": 0, "maximum": values.LARGEST_AMOUNT}
POSITIVE_AMOUNT: JsonSchema = {**MONEY, "exclusiveMinimum": 0, "maximum": values.LARGEST_AMOUNT}
SUM: JsonSchema = {**MONEY, "minimum": 0}
ORDER_ID: JsonSchema = {"type": "string", "pattern": f"^{values.ORDER_ID}$"}
QUANTITY: JsonSchema = {"type": "integer", "minimum": 1, "maximum": values.LARGEST_QUANTITY}
COUNT: JsonSchema = {"type": "integer", "minimum": 1}
COUNT_AS_TEXT: JsonSchema = {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"}
EVENT_TYPE: JsonSchema = {"type": "string", "enum": list(EVENT_TYPES)}
STATUS: JsonSchema = {"type": "string", "enum": STATUSES}
TIME: JsonSchema = {"type": "string", "format": "date-time"}

EXAMPLE_ORDER_ID = "019a5e3c-2b1f-7c40-9d51-7a2f5f3b8c1e"
EXAMPLE_TIME = "2026-01-31T09:00:00Z"
EXAMPLE_CURSOR = feed.encode(feed.Cursor(1, 1042, 43, "5f4a0c1c9b7d1556"))

ORDER_ID_IN_PATH: JsonSchema = {
    "order_id": {
        "description": "The order's id, as placing it answered.",
        "schema": {**ORDER_ID, "minLength": 1, "maxLength": 64},
        "example": EXAMPLE_ORDER_ID,
    }
}


def described(schema: JsonSchema, description: str, example: object = None) -> WithJsonSchema:
    """For a field's annotation."""
    shown = {} if example is None else {"examples": [example]}
    return WithJsonSchema({**schema, "description": description, **shown})


def text(
    longest: int, description: str, example: str, refused: str = values.CONTROLS, *, least: int = 1
) -> WithJsonSchema:
    """Not blank: it has what `str.isprintable` calls printable, and not a space; or empty, if `least` is 0.
    Lone surrogates are no JSON text."""
    pattern = rf"[^{refused}]*[^\p{{C}}\p{{Z}}][^{refused}]*"
    pattern = f"^{pattern}$" if least else f"^({pattern})?$"
    schema: JsonSchema = {"type": "string", "minLength": least, "maxLength": longest, "pattern": pattern}
    return described(schema, description, example)


# Fields of answers.

OrderId = Annotated[str, described(ORDER_ID, "The order's id.", EXAMPLE_ORDER_ID)]
Version = Annotated[int, described(COUNT, "1, 2, 3 … within the order, without gaps.", 2)]
Position = Annotated[int, described(COUNT, "The event's place in the whole log.", 42)]
Amount = Annotated[Decimal, described(AMOUNT, "Money, exact to two decimal places.")]
Sum = Annotated[Decimal, described(SUM, "Money, exact to two decimal places.")]
Time = Annotated[datetime, described(TIME, "RFC 3339, in UTC.")]
Quantity = Annotated[int, described(QUANTITY, "How many of it.")]
NumberOfOrders = Annotated[int, described({"type": "integer", "minimum": 0}, "A number of orders.")]


# Parameters of queries, which come as text.


def _page_size(text: str, most: int = MOST_PER_PAGE) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= most:
        raise InvalidValue("limit", f"must be a whole number from 1 to {most}")
    return int(text)


def _event_type(text: str) -> str:
    if text not in EVENT_TYPES:
        raise InvalidValue("type", f"must be one of {', '.join(EVENT_TYPES)}")
    return text


def status_of(text: str) -> str:
    if text not in STATUSES:
        raise InvalidValue("status", f"must be one of {', '.join(STATUSES)}")
    return text


def _time(text: str) -> datetime:
    """Cut to microseconds; a leap second is the first of the next minute, as in PostgreSQL."""
    try:
        found = _RFC3339.fullmatch(text)
        if not found:
            raise ValueError("not RFC 3339")
        minute, second, rest = found.groups()
        leap = second == "60"
        moment = datetime.fromisoformat(f"{minute}:{'59' if leap else second}{rest}".upper()).astimezone(UTC)
        if leap and (moment.hour, moment.minute) != (23, 59):
            raise ValueError("not a leap second")
        return moment + timedelta(seconds=leap)
    except (ValueError, OverflowError) as error:
        example = "2026-01-31T09:00:00Z or 2026-01-31T18:00:00%2B09:00"
        raise InvalidValue("time", f"must be an RFC 3339 time such as {example}") from error


def _past(text: str) -> datetime:
    moment = _time(text)
    if moment > datetime.now(UTC):
        raise InvalidValue("as_of", "must not be in the future")
    return moment


def _least_amount(text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise InvalidValue("min_total_amount", "must be a decimal number from 0, such as 1500 or 99.50")
    return values.amount("min_total_amount", Decimal(text))


def counted(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise InvalidValue("version", "must be a whole number from 1")
    return int(text)


Counted = Annotated[int, PlainValidator(counted), described({**COUNT, "maximum": LARGEST_COUNT}, "Counts from 1.", 2)]
"""A version or position."""

Past = Annotated[
    datetime,
    PlainValidator(_past),
    described(TIME, "As it was at this time, which is not in the future.", EXAMPLE_TIME),
]
From = Annotated[datetime, PlainValidator(_time), described(TIME, "Placed then or later.", EXAMPLE_TIME)]
Before = Annotated[datetime, PlainValidator(_time), described(TIME, "Placed before then.", EXAMPLE_TIME)]
LeastAmount = Annotated[
    Decimal,
    PlainValidator(_least_amount),
    described(AMOUNT, "Money, exact to two decimal places.", Decimal("80000.00")),
]
OfStatus = Annotated[str, PlainValidator(status_of), described(STATUS, "Orders in this state.", "pending")]
PageSize = Annotated[
    int,
    BeforeValidator(_page_size),
    described({"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE}, "How many per page.", 50),
]
Cursor = Annotated[
    PageEnd,
    PlainValidator(decode_cursor),
    # A format of our own: what an earlier answer gave.
    described({"type": "string", "format": "cursor"}, "The `next_cursor` of the page before."),
]

# Parameters of the feed.

FeedPageSize = Annotated[
    int,
    BeforeValidator(partial(_page_size, most=MOST_OF_FEED)),
    described({"type": "integer", "minimum": 1, "maximum": MOST_OF_FEED}, "How many per page.", 100),
]
FeedCursor = Annotated[
    feed.Cursor,
    PlainValidator(feed.decode),
    described(
        {"type": "string", "format": "feed-cursor"},
        "The `next_cursor` of an earlier page; without it, from the first event on.",
    ),
]
EventType = Annotated[str, PlainValidator(_event_type), described(EVENT_TYPE, "A type of events.", "OrderPlaced")]
OfOrder = Annotated[
    str, PlainValidator(values.order_id), described(ORDER_ID, "Only events of this order.", EXAMPLE_ORDER_ID)
]
HappenedFrom = Annotated[datetime, PlainValidator(_time), described(TIME, "Happened then or later.", EXAMPLE_TIME)]
HappenedBefore = Annotated[datetime, PlainValidator(_time), described(TIME, "Happened before then.", EXAMPLE_TIME)]
