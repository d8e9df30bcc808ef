"""The read side over HTTP: each endpoint asks one query of a read model."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from core.event_sourcing.postgres_store import PostgresEventStore
from core.orders.errors import OrderNotFound
from core.read_models.details import OrderDetails, find_details
from core.read_models.summary import OrderFilter, list_orders, statistics
from webapp import problems
from webapp.cursor import encode_cursor
from webapp.database import db
from webapp.requests import read_query
from webapp.schemas import STATUSES, NoQuery, OrdersOfStatusQuery, OrdersQuery

bp = Blueprint("queries", __name__)


@bp.get("/orders")
def index() -> ResponseReturnValue:
    query = read_query(OrdersQuery)
    return _page(query, query.status)


@bp.get("/orders/status/<status>")
def index_of_status(status: str) -> ResponseReturnValue:
    if status not in STATUSES:
        return problems.answer(problems.NOT_FOUND, f"A status is one of {', '.join(STATUSES)}.")
    return _page(read_query(OrdersOfStatusQuery), status)


@bp.get("/orders/statistics")
def show_statistics() -> ResponseReturnValue:
    read_query(NoQuery)
    return asdict(statistics(db.session()))


@bp.get("/orders/<order_id:order_id>")
def show_order(order_id: str) -> ResponseReturnValue:
    read_query(NoQuery)
    session = db.session()
    details = find_details(session, order_id)
    if details is not None:
        return _details(details)
    if PostgresEventStore(session).exists(order_id):
        raise problems.ReadModelBehind(f"Order {order_id} is stored but not shown yet; try again in a second.")
    raise OrderNotFound(order_id)


def _page(query: OrdersOfStatusQuery, status: str | None) -> dict[str, Any]:
    matching = OrderFilter(
        status=status,
        customer_name=query.customer_name,
        placed_from=query.placed_from,
        placed_to=query.placed_to,
        min_total_amount=query.min_total_amount,
    )
    orders, end = list_orders(db.session(), matching=matching, after=query.cursor, limit=query.limit)
    return {"orders": [order._asdict() for order in orders], "next_cursor": encode_cursor(end) if end else None}


def _details(details: OrderDetails) -> dict[str, Any]:
    items = [
        {
            "product_name": item.product_name,
            "quantity": item.quantity,
            "unit_price": item.unit_price,
            "subtotal": item.subtotal,
        }
        for item in details.items
    ]
    return {**details.header._asdict(), "items": items, "items_total": details.items_total}
