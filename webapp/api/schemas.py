"""What requests may say: the bodies of commands and the query of lists. The rules for values are the domain's."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from core.orders import values
from core.orders.errors import InvalidValue
from core.orders.order import Status
from core.read_models.summary import PageEnd
from webapp.api.cursor import decode_cursor
from webapp.contract import json_types
from webapp.contract.json_types import described

STATUSES = [status.value for status in Status]
MOST_PER_PAGE = 200

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DECIMAL = re.compile(r"\d{1,20}(\.\d{1,20})?", re.ASCII)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Amount = described(json_types.AMOUNT, "Money, exact to two decimal places.", Decimal("80000.00"))


def text(longest: int, description: str, example: str) -> WithJsonSchema:
    return described(json_types.text(longest), description, example)


class PlaceOrderBody(Strict):
    customer_name: Annotated[
        str, PlainValidator(values.customer_name), text(values.NAME_LENGTH, "Not blank.", "山田太郎")
    ]
    total_amount: Annotated[
        Decimal,
        PlainValidator(values.total_amount),
        described(json_types.POSITIVE_AMOUNT, "What the customer pays; items do not change it.", Decimal("83000.00")),
    ]


class AddOrderItemBody(Strict):
    product_name: Annotated[
        str, PlainValidator(values.product_name), text(values.NAME_LENGTH, "Not blank.", "ノートPC")
    ]
    quantity: Annotated[int, PlainValidator(values.quantity), described(json_types.QUANTITY, "How many of it.", 1)]
    unit_price: Annotated[Decimal, PlainValidator(values.unit_price), Amount]


class ConfirmOrderBody(Strict):
    pass


class CancelOrderBody(Strict):
    reason: Annotated[str, PlainValidator(values.reason), text(values.REASON_LENGTH, "Not blank.", "顧客都合")]


class ShipOrderBody(Strict):
    tracking_number: Annotated[
        str,
        PlainValidator(values.tracking_number),
        text(values.TRACKING_NUMBER_LENGTH, "Not blank.", "TRACK-12345678"),
    ]


def _page_size(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MOST_PER_PAGE:
        raise InvalidValue("limit", f"must be a whole number from 1 to {MOST_PER_PAGE}")
    return int(text)


def _status(text: str) -> str:
    if text not in STATUSES:
        raise InvalidValue("status", f"must be one of {', '.join(STATUSES)}")
    return text


def _time(text: str) -> datetime:
    try:
        if not _RFC3339.fullmatch(text):
            raise ValueError("not RFC 3339")
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        example = "2026-01-31T09:00:00Z or 2026-01-31T18:00:00%2B09:00"
        raise InvalidValue("time", f"must be an RFC 3339 time such as {example}") from error


def _least_amount(text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise InvalidValue("min_total_amount", "must be a decimal number from 0, such as 1500 or 99.50")
    return values.amount("min_total_amount", Decimal(text))


def _past(text: str) -> datetime:
    moment = _time(text)
    if moment > datetime.now(UTC):
        raise InvalidValue("as_of", "must not be in the future")
    return moment


LARGEST_COUNT = 10**18 - 1
COUNT_SCHEMA = {**json_types.COUNT, "maximum": LARGEST_COUNT}


def _count(text: str) -> int:
    """A version or position."""
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise InvalidValue("version", "must be a whole number from 1")
    return int(text)


EXAMPLE_TIME = "2026-01-31T09:00:00Z"

Past = Annotated[
    datetime | None,
    PlainValidator(_past),
    described(json_types.TIME, "As it was at this time, which is not in the future.", EXAMPLE_TIME),
]
Count = Annotated[int, PlainValidator(_count), described(COUNT_SCHEMA, "Counts from 1.", 2)]


def _time_from(description: str) -> WithJsonSchema:
    return described(json_types.TIME, description, EXAMPLE_TIME)


class NoQuery(Strict):
    """Query strings hold text; each parameter may be given once."""


class OrderQuery(NoQuery):
    """An order as it is, at least at `min_version`; or as it was at a version or a time."""

    min_version: Count | None = None
    version: Count | None = None
    as_of: Past = None

    @model_validator(mode="after")
    def _one_at_the_most(self) -> "OrderQuery":
        if len(self.model_fields_set) > 1:
            raise InvalidValue("version", "cannot be combined: give one of min_version, version and as_of")
        return self


class DiffQuery(NoQuery):
    from_version: Annotated[Count, Field(alias="from")]
    to_version: Annotated[Count, Field(alias="to")]


class StatisticsQuery(NoQuery):
    min_position: Count | None = None
    as_of: Past = None


PAGE_SIZE = {"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE}
CURSOR = {"type": "string", "format": "cursor"}  # a format of our own: what an earlier answer gave


class OrdersOfStatusQuery(StatisticsQuery):
    limit: Annotated[int, BeforeValidator(_page_size), described(PAGE_SIZE, "Orders per page.", 50)] = 50
    cursor: Annotated[
        PageEnd | None, PlainValidator(decode_cursor), described(CURSOR, "The `next_cursor` of the page before.")
    ] = None
    customer_name: Annotated[
        str | None, PlainValidator(values.customer_name), text(values.NAME_LENGTH, "Exactly this name.", "山田太郎")
    ] = None
    placed_from: Annotated[datetime | None, PlainValidator(_time), _time_from("Placed then or later.")] = None
    placed_to: Annotated[datetime | None, PlainValidator(_time), _time_from("Placed before then.")] = None
    min_total_amount: Annotated[Decimal | None, PlainValidator(_least_amount), Amount] = None


class OrdersQuery(OrdersOfStatusQuery):
    status: Annotated[
        str | None, PlainValidator(_status), described(json_types.STATUS, "Orders in this state.", "pending")
    ] = None
