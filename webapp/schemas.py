"""What requests may say: the bodies of commands and the query of lists. The rules for values are the domain's."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from core.orders import values
from core.orders.errors import InvalidValue
from core.orders.order import Status
from core.read_models.summary import PageEnd
from webapp.cursor import decode_cursor

STATUSES = [status.value for status in Status]
MOST_PER_PAGE = 200

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DECIMAL = re.compile(r"\d{1,20}(\.\d{1,20})?", re.ASCII)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlaceOrderBody(Strict):
    customer_name: Annotated[str, PlainValidator(values.customer_name)]
    total_amount: Annotated[Decimal, PlainValidator(values.total_amount)]


class AddOrderItemBody(Strict):
    product_name: Annotated[str, PlainValidator(values.product_name)]
    quantity: Annotated[int, PlainValidator(values.quantity)]
    unit_price: Annotated[Decimal, PlainValidator(values.unit_price)]


class ConfirmOrderBody(Strict):
    pass


class CancelOrderBody(Strict):
    reason: Annotated[str, PlainValidator(values.reason)]


class ShipOrderBody(Strict):
    tracking_number: Annotated[str, PlainValidator(values.tracking_number)]


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


def _count(text: str) -> int:
    """A version or position."""
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise InvalidValue("version", "must be a whole number from 1")
    return int(text)


Past = Annotated[datetime | None, PlainValidator(_past)]
Count = Annotated[int, PlainValidator(_count)]


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


class OrdersOfStatusQuery(StatisticsQuery):
    limit: Annotated[int, BeforeValidator(_page_size)] = 50
    cursor: Annotated[PageEnd | None, PlainValidator(decode_cursor)] = None
    customer_name: Annotated[str | None, PlainValidator(values.customer_name)] = None
    placed_from: Annotated[datetime | None, PlainValidator(_time)] = None
    placed_to: Annotated[datetime | None, PlainValidator(_time)] = None
    min_total_amount: Annotated[Decimal | None, PlainValidator(_least_amount)] = None


class OrdersQuery(OrdersOfStatusQuery):
    status: Annotated[str | None, PlainValidator(_status)] = None
