"""The write side over HTTP: each endpoint turns a request into one command."""

from flask import Blueprint, current_app, url_for
from flask.typing import ResponseReturnValue
from uuid_utils import uuid7

from core.command_handler import OrderCommandHandler
from core.event_sourcing.postgres_store import transaction
from core.orders.commands import AddOrderItem, CancelOrder, ConfirmOrder, OrderCommand, PlaceOrder, ShipOrder
from webapp.database import db
from webapp.request_id import event_metadata
from webapp.requests import read_body
from webapp.schemas import AddOrderItemBody, CancelOrderBody, ConfirmOrderBody, PlaceOrderBody, ShipOrderBody
from worker.enqueue import Enqueuer

bp = Blueprint("commands", __name__)

ENQUEUER = "orderlog-enqueuer"


@bp.post("/orders")
def place_order() -> ResponseReturnValue:
    body = read_body(PlaceOrderBody)
    order_id = str(uuid7())
    answer = accept(PlaceOrder(order_id=order_id, customer_name=body.customer_name, total_amount=body.total_amount))
    return answer, 201, {"Location": url_for("queries.show_order", order_id=order_id)}


@bp.post("/orders/<order_id:order_id>/add_item")
def add_item(order_id: str) -> ResponseReturnValue:
    body = read_body(AddOrderItemBody)
    return accept(
        AddOrderItem(
            order_id=order_id,
            product_name=body.product_name,
            quantity=body.quantity,
            unit_price=body.unit_price,
        )
    )


@bp.post("/orders/<order_id:order_id>/confirm")
def confirm_order(order_id: str) -> ResponseReturnValue:
    read_body(ConfirmOrderBody, optional=True)
    return accept(ConfirmOrder(order_id=order_id))


@bp.post("/orders/<order_id:order_id>/cancel")
def cancel_order(order_id: str) -> ResponseReturnValue:
    return accept(CancelOrder(order_id=order_id, reason=read_body(CancelOrderBody).reason))


@bp.post("/orders/<order_id:order_id>/ship")
def ship_order(order_id: str) -> ResponseReturnValue:
    return accept(ShipOrder(order_id=order_id, tracking_number=read_body(ShipOrderBody).tracking_number))


def accept(command: OrderCommand) -> dict[str, str | int]:
    """Append and commit, then tell the workers, then answer."""
    handler = OrderCommandHandler(transaction(db.session()))
    recorded = handler.handle(command, metadata=event_metadata())
    enqueuer: Enqueuer = current_app.extensions[ENQUEUER]
    enqueuer.enqueue(recorded)
    last = recorded[-1]
    return {"order_id": last.aggregate_id, "version": last.version}
