"""The read side over HTTP: each endpoint asks one query of a read model, or of an order's past."""

from dataclasses import asdict
from functools import partial
from typing import Any

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from core.database import driver_connection
from core.event_sourcing.postgres_store import PostgresEventStore
from core.orders.errors import OrderNotFound
from core.projection.status import shown_position
from core.read_models.details import OrderDetails, find_details
from core.read_models.header import header_fields
from core.read_models.history import NoSuchVersion, audit_trail, changes, details_as_of, details_at_version
from core.read_models.past_orders import list_orders_as_of, statistics_as_of
from core.read_models.statistics import statistics
from core.read_models.summary import OrderFilter, list_orders
from core.read_models.wiring import PROJECTORS
from webapp.api import headers
from webapp.api.cursor import encode_cursor
from webapp.api.requests import read_query
from webapp.api.schemas import (
    STATUSES,
    DiffQuery,
    NoQuery,
    OrderQuery,
    OrdersOfStatusQuery,
    OrdersQuery,
    StatisticsQuery,
)
from webapp.api.waiting import order_is_shown, position_is_shown
from webapp.database import db, read_session, release
from webapp.problems import catalogue as problems

bp = Blueprint("queries", __name__)

DETAILS = {"details": PROJECTORS["details"]}
SUMMARY = "summary"


@bp.get("/orders")
def index() -> ResponseReturnValue:
    query = read_query(OrdersQuery)
    return _page(query, query.status)


@bp.get("/orders/status/<status>")
def index_of_status(status: str) -> ResponseReturnValue:
    if status not in STATUSES:
        raise problems.NothingHere(f"A status is one of {', '.join(STATUSES)}.")
    return _page(read_query(OrdersOfStatusQuery), status)


@bp.get("/orders/statistics")
def show_statistics() -> ResponseReturnValue:
    query = read_query(StatisticsQuery)
    _require_position(query)
    session = read_session()
    return asdict(statistics_as_of(session, query.as_of) if query.as_of else statistics(session))


@bp.get("/orders/<order_id:order_id>")
def show_order(order_id: str) -> ResponseReturnValue:
    query = read_query(OrderQuery)
    if query.version is not None:
        details = details_at_version(db.session(), order_id, query.version)
    elif query.as_of is not None:
        details = details_as_of(db.session(), order_id, query.as_of)
    else:
        details = _present(order_id, query.min_version or 1)
    tag = {"ETag": headers.etag(details.version)}
    return Response(status=304, headers=tag) if headers.client_has(details.version) else (_details(details), 200, tag)


@bp.get("/orders/<order_id:order_id>/events")
def show_events(order_id: str) -> ResponseReturnValue:
    read_query(NoQuery)
    return {"order_id": order_id, "events": [asdict(entry) for entry in audit_trail(db.session(), order_id)]}


@bp.get("/orders/<order_id:order_id>/diff")
def show_diff(order_id: str) -> ResponseReturnValue:
    query = read_query(DiffQuery)
    before, after = (
        details_at_version(db.session(), order_id, version) for version in (query.from_version, query.to_version)
    )
    return {
        "order_id": order_id,
        "from_version": query.from_version,
        "to_version": query.to_version,
        "changes": [asdict(change) for change in changes(before, after)],
    }


def _present(order_id: str, version: int) -> OrderDetails:
    """The order as the read model shows it, if need be after waiting. Raises ReadModelBehind, OrderNotFound."""
    details = find_details(read_session(), order_id)
    if details is None or details.version < version:
        stored = PostgresEventStore(driver_connection(db.session())).version(order_id)
        if not stored:
            raise OrderNotFound(order_id)
        if stored < version:
            raise NoSuchVersion(order_id, version, stored)
        release()  # a request that waits holds no connection
        if seconds := headers.wait_seconds():
            order_is_shown(order_id, version, seconds, DETAILS)
            details = find_details(read_session(), order_id)
    if details is None or details.version < version:
        shown = details.version if details else 0
        raise problems.OrderBehind(order_id, shown)
    return details


def _require_position(query: StatisticsQuery) -> None:
    """Raises ReadModelBehind."""
    position = query.min_position
    if position is not None and not position_is_shown(SUMMARY, position, headers.wait_seconds()):
        shown = min(shown_position(read_session(), SUMMARY, PROJECTORS[SUMMARY]), position - 1)
        raise problems.ListBehind(shown)


def _page(query: OrdersOfStatusQuery, status: str | None) -> dict[str, Any]:
    _require_position(query)
    matching = OrderFilter(
        status=status,
        customer_name=query.customer_name,
        placed_from=query.placed_from,
        placed_to=query.placed_to,
        min_total_amount=query.min_total_amount,
    )
    find = partial(list_orders_as_of, moment=query.as_of) if query.as_of else list_orders
    orders, end = find(read_session(), matching=matching, after=query.cursor, limit=query.limit)
    return {"orders": [header_fields(order) for order in orders], "next_cursor": encode_cursor(end) if end else None}


def _details(details: OrderDetails) -> dict[str, Any]:
    items = [
        {
            "product_name": item.product_name,
            "quantity": item.quantity,
            "unit_price": item.unit_price,
            "subtotal": item.subtotal,
        }
        for item in details.items.values()
    ]
    return {**header_fields(details), "items": items, "items_total": details.items_total}
