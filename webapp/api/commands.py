"""The write side over HTTP: each endpoint turns a request into one command."""

from flask import Blueprint, current_app, url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from uuid_utils import uuid7

from core.command_handler import OrderCommandHandler
from core.event_sourcing.postgres_store import stores
from core.idempotency import Outcome
from core.orders.commands import AddOrderItem, CancelOrder, ConfirmOrder, OrderCommand, PlaceOrder, ShipOrder
from webapp.api import headers
from webapp.api.requests import read_body
from webapp.api.schemas import AddOrderItemBody, CancelOrderBody, ConfirmOrderBody, PlaceOrderBody, ShipOrderBody
from webapp.api.waiting import order_is_shown
from webapp.database import db
from webapp.gate.request_id import event_metadata
from worker.enqueue import Enqueuer

bp = Blueprint("commands", __name__)

ENQUEUER = "orderlog-enqueuer"


@bp.post("/orders")
def place_order() -> ResponseReturnValue:
    body = read_body(PlaceOrderBody)
    command = PlaceOrder(order_id=str(uuid7()), customer_name=body.customer_name, total_amount=body.total_amount)
    return accept(command, body)


@bp.post("/orders/<order_id:order_id>/add_item")
def add_item(order_id: str) -> ResponseReturnValue:
    body = read_body(AddOrderItemBody)
    command = AddOrderItem(
        order_id=order_id,
        product_name=body.product_name,
        quantity=body.quantity,
        unit_price=body.unit_price,
    )
    return accept(command, body)


@bp.post("/orders/<order_id:order_id>/confirm")
def confirm_order(order_id: str) -> ResponseReturnValue:
    body = read_body(ConfirmOrderBody, optional=True)
    return accept(ConfirmOrder(order_id=order_id), body)


@bp.post("/orders/<order_id:order_id>/cancel")
def cancel_order(order_id: str) -> ResponseReturnValue:
    body = read_body(CancelOrderBody)
    return accept(CancelOrder(order_id=order_id, reason=body.reason), body)


@bp.post("/orders/<order_id:order_id>/ship")
def ship_order(order_id: str) -> ResponseReturnValue:
    body = read_body(ShipOrderBody)
    return accept(ShipOrder(order_id=order_id, tracking_number=body.tracking_number), body)


def accept(command: OrderCommand, body: BaseModel) -> ResponseReturnValue:
    """Append and commit, then tell the workers, then answer; or answer again what this Idempotency-Key got before."""
    handled = OrderCommandHandler(stores(db.engine)).handle(
        command,
        metadata=event_metadata(),
        expected_versions=headers.expected_versions(),
        once=headers.idempotency_key(body),
    )
    enqueuer: Enqueuer = current_app.extensions[ENQUEUER]
    enqueuer.enqueue(handled.recorded)
    return _answer(handled.outcome, created=isinstance(command, PlaceOrder), replayed=not handled.recorded)


def _answer(outcome: Outcome, *, created: bool, replayed: bool) -> ResponseReturnValue:
    answered = {"ETag": headers.etag(outcome.version)}
    if created:
        answered["Location"] = url_for("queries.show_order", order_id=outcome.order_id)
    if replayed:
        answered["Idempotent-Replayed"] = "true"
    seconds = headers.wait_seconds()
    if seconds and order_is_shown(outcome.order_id, outcome.version, seconds):
        answered["Preference-Applied"] = "wait"
    return outcome._asdict(), 201 if created else 200, answered
