"""The queries: orders in lists, in numbers, and one with its items; as they are, or as they were."""

from dataclasses import asdict
from decimal import Decimal
from functools import partial
from typing import Annotated, Any

from flask import Response
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, PlainValidator, model_validator

from core.api_keys import Scope
from core.database import driver_connection
from core.event_sourcing.postgres_store import PostgresEventStore
from core.orders import values
from core.orders.errors import InvalidValue, OrderNotFound
from core.orders.order import Status
from core.projection.parking import failures_of
from core.projection.status import last_position, shown_position
from core.read_models import header, summary
from core.read_models.details import OrderDetails, find_details
from core.read_models.history import NoSuchVersion, details_as_of, details_at_version
from core.read_models.past_orders import list_orders_as_of, statistics_as_of
from core.read_models.statistics import statistics
from core.read_models.summary import OrderFilter
from core.read_models.wiring import PROJECTORS
from webapp.api import fields, header_fields, headers
from webapp.api.cursor import encode_cursor
from webapp.api.fields import Strict
from webapp.api.operation import Answer, Operation
from webapp.api.requests import read_query
from webapp.api.waiting import order_is_shown, position_is_shown
from webapp.database import db, read_session, release
from webapp.problems import catalogue as problems

DETAILS_ALONE = {"details": PROJECTORS["details"]}
SUMMARY = "summary"

# Answers are not built through these models: that would cost time on every request and find nothing that the tests do
# not find, which hold every answer to them. Where core has a class of that name, the model ends in Answer.


# Lists.


class StatisticsQuery(Strict):
    min_position: fields.Counted | None = None
    as_of: fields.Past | None = None


class OrdersOfStatusQuery(StatisticsQuery):
    limit: fields.PageSize = 50
    cursor: fields.Cursor | None = None
    customer_name: Annotated[
        str | None,
        PlainValidator(values.name_to_find),
        fields.text(values.NAME_LENGTH, "Exactly this name, compared in NFC.", "山田太郎", refused=r"\x00"),
    ] = None
    placed_from: fields.From | None = None
    placed_to: fields.Before | None = None
    min_total_amount: fields.LeastAmount | None = None


class OrdersQuery(OrdersOfStatusQuery):
    status: fields.OfStatus | None = None


class OrderSummary(BaseModel):
    """An order without its items; `version` is the last event shown."""

    order_id: fields.OrderId
    customer_name: str
    status: Status
    total_amount: fields.Amount
    placed_at: fields.Time
    confirmed_at: fields.Time | None
    shipped_at: fields.Time | None
    cancelled_at: fields.Time | None
    tracking_number: str | None
    cancel_reason: str | None
    version: fields.Version


class OrderPage(BaseModel):
    """Newest placed first; `next_cursor` is null on the last page."""

    orders: list[OrderSummary]
    next_cursor: str | None


def list_orders() -> ResponseReturnValue:
    query = read_query(OrdersQuery)
    return _page(query, query.status)


def list_orders_of_status(status: str) -> ResponseReturnValue:
    if status not in fields.STATUSES:
        raise problems.NothingHere(f"A status is one of {', '.join(fields.STATUSES)}.")
    return _page(read_query(OrdersOfStatusQuery), status)


def _page(query: OrdersOfStatusQuery, status: str | None) -> dict[str, Any]:
    _require_position(query)
    matching = OrderFilter(
        status=status,
        customer_name=query.customer_name,
        placed_from=query.placed_from,
        placed_to=query.placed_to,
        min_total_amount=query.min_total_amount,
    )
    find = partial(list_orders_as_of, moment=query.as_of) if query.as_of else summary.list_orders
    orders, end = find(read_session(), matching=matching, after=query.cursor, limit=query.limit)
    return {
        "orders": [header.header_fields(order) for order in orders],
        "next_cursor": encode_cursor(end) if end else None,
    }


def _require_position(query: StatisticsQuery) -> None:
    """Raises NoSuchPosition, ListBehind."""
    position = query.min_position
    if position is None or position_is_shown(SUMMARY, position, 0):
        return
    latest = last_position(db.session())
    if latest < position:
        raise problems.NoSuchPosition(position, latest)
    release()  # a request that waits holds no connection
    if not position_is_shown(SUMMARY, position, headers.wait_seconds()):
        shown = min(shown_position(read_session(), SUMMARY, PROJECTORS[SUMMARY]), position - 1)
        raise problems.ListBehind(shown)


# Numbers.


class OrderStatisticsAnswer(BaseModel):
    """`total_revenue` is the sum of the total amounts of shipped orders."""

    total_count: fields.NumberOfOrders
    pending_count: fields.NumberOfOrders
    confirmed_count: fields.NumberOfOrders
    shipped_count: fields.NumberOfOrders
    cancelled_count: fields.NumberOfOrders
    total_revenue: fields.Sum


def show_statistics() -> ResponseReturnValue:
    query = read_query(StatisticsQuery)
    _require_position(query)
    session = read_session()
    return asdict(statistics_as_of(session, query.as_of) if query.as_of else statistics(session))


# One order.


class OrderQuery(Strict):
    """An order as it is, at least at `min_version`; or as it was at a version or a time."""

    min_version: fields.Counted | None = None
    version: fields.Counted | None = None
    as_of: fields.Past | None = None

    @model_validator(mode="after")
    def _one_at_the_most(self) -> "OrderQuery":
        if len(self.model_fields_set) > 1:
            raise InvalidValue("version", "cannot be combined: give one of min_version, version and as_of")
        return self


class OrderItemAnswer(BaseModel):
    """`version` is that of the event that added the item."""

    version: fields.Version
    product_name: str
    quantity: fields.Quantity
    unit_price: fields.Amount
    subtotal: fields.Sum


class OrderDetailsAnswer(OrderSummary):
    """An order with its items; `items_total` is their own sum."""

    items: list[OrderItemAnswer]
    items_total: fields.Sum


def show_order(order_id: str) -> ResponseReturnValue:
    query = read_query(OrderQuery)
    if query.version is not None:
        details = details_at_version(db.session(), order_id, query.version)
    elif query.as_of is not None:
        details = details_as_of(db.session(), order_id, query.as_of)
    else:
        details = _present(order_id, query.min_version or 1)
    tag = {"ETag": headers.etag(details.version)}
    if headers.client_has(details.version):
        return Response(status=304, headers=tag)
    items = [item._asdict() for item in details.items.values()]
    return {**header.header_fields(details), "items": items, "items_total": details.items_total}, 200, tag


def _present(order_id: str, version: int) -> OrderDetails:
    """The order as shown now, or after waiting. Raises OrderBehind, OrderNotFound, NoSuchVersion."""
    details = find_details(read_session(), order_id)
    if details is None or details.version < version:
        stored = PostgresEventStore(driver_connection(db.session())).version(order_id)
        if not stored:
            raise OrderNotFound(order_id)
        if stored < version:
            raise NoSuchVersion(order_id, version, stored)
        release()  # a request that waits holds no connection
        if seconds := headers.wait_seconds():
            order_is_shown(order_id, version, seconds, DETAILS_ALONE)
            details = find_details(read_session(), order_id)
    if details is None or details.version < version:
        shown = details.version if details else 0
        failures = failures_of(read_session(), DETAILS_ALONE, order_id)
        parked = any(failure.next_attempt_at is None for failure in failures)
        raise problems.OrderBehind(order_id, shown, parked=parked)
    return details


EXAMPLE_SUMMARY: dict[str, Any] = {
    "order_id": fields.EXAMPLE_ORDER_ID,
    "customer_name": "山田太郎",
    "status": "pending",
    "total_amount": Decimal("83000.00"),
    "placed_at": fields.EXAMPLE_TIME,
    "confirmed_at": None,
    "shipped_at": None,
    "cancelled_at": None,
    "tracking_number": None,
    "cancel_reason": None,
    "version": 2,
}
EXAMPLE_ITEM = {
    "version": 2,
    "product_name": "ノートPC",
    "quantity": 1,
    "unit_price": Decimal("80000.00"),
    "subtotal": Decimal("80000.00"),
}
PAGE = Answer(
    description="A page of the list.",
    model=OrderPage,
    example={"orders": [EXAMPLE_SUMMARY], "next_cursor": None},
)
LIST_HEADERS = (header_fields.PREFER, header_fields.REQUEST_ID)

OPERATIONS = (
    Operation(
        path="/orders",
        view=list_orders,
        scope=Scope.ORDERS_READ,
        summary="List orders",
        description="Newest placed first. Parameters combine.",
        headers=LIST_HEADERS,
        query=OrdersQuery,
        answers=(PAGE,),
        problems=(problems.NO_SUCH_POSITION, problems.READ_MODEL_BEHIND),
    ),
    Operation(
        path="/orders/status/{status}",
        in_path={"status": {"description": "A state of orders.", "schema": fields.STATUS, "example": "pending"}},
        view=list_orders_of_status,
        scope=Scope.ORDERS_READ,
        summary="List the orders in one state",
        headers=LIST_HEADERS,
        query=OrdersOfStatusQuery,
        answers=(PAGE,),
        problems=(problems.NO_SUCH_POSITION, problems.READ_MODEL_BEHIND),
    ),
    Operation(
        path="/orders/statistics",
        view=show_statistics,
        scope=Scope.ORDERS_READ,
        summary="Count orders, and sum the revenue",
        headers=LIST_HEADERS,
        query=StatisticsQuery,
        answers=(
            Answer(
                description="The numbers.",
                model=OrderStatisticsAnswer,
                example={
                    "total_count": 1,
                    "pending_count": 1,
                    "confirmed_count": 0,
                    "shipped_count": 0,
                    "cancelled_count": 0,
                    "total_revenue": Decimal("0.00"),
                },
            ),
        ),
        problems=(problems.NO_SUCH_POSITION, problems.READ_MODEL_BEHIND),
    ),
    Operation(
        path="/orders/{order_id}",
        in_path=fields.ORDER_ID_IN_PATH,
        view=show_order,
        scope=Scope.ORDERS_READ,
        summary="Show an order",
        description="As it is, or as it was; at most one of min_version, version and as_of may be given.",
        headers=(header_fields.IF_NONE_MATCH, header_fields.PREFER, header_fields.REQUEST_ID),
        query=OrderQuery,
        answers=(
            Answer(
                description="The order with its items.",
                model=OrderDetailsAnswer,
                headers=(header_fields.ETAG,),
                example={**EXAMPLE_SUMMARY, "items": [EXAMPLE_ITEM], "items_total": Decimal("80000.00")},
            ),
            Answer(
                status=304,
                description="The client has it already.",
                media_types=(),
                headers=(header_fields.ETAG,),
            ),
        ),
        problems=(
            problems.ORDER_NOT_FOUND,
            problems.EVENT_UNKNOWN,
            problems.NO_SUCH_VERSION,
            problems.NOT_PLACED_YET,
            problems.READ_MODEL_BEHIND,
        ),
        link={"query.min_version": "$response.body#/version", "header.Prefer": "wait=5"},
    ),
)
