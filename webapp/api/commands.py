"""The commands: each endpoint turns a request into one command, which appends its events at once."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated

from flask import current_app, url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, BeforeValidator, Field, PlainValidator
from uuid_utils import uuid7

from core.api_keys import Scope
from core.command_handler import OrderCommandHandler
from core.event_sourcing.postgres_store import stores
from core.orders import values
from core.orders.commands import AddOrderItem, CancelOrder, ConfirmOrder, NewItem, OrderCommand, PlaceOrder, ShipOrder
from core.orders.errors import InvalidValue
from webapp.api import fields, header_fields, headers
from webapp.api.fields import Strict, described
from webapp.api.operation import Answer, Operation, Problems
from webapp.api.requests import read_body
from webapp.api.waiting import order_is_shown
from webapp.database import db
from webapp.gate.request_id import event_metadata
from webapp.problems import catalogue as problems
from worker.enqueue import Enqueuer

ENQUEUER = "orderlog-enqueuer"
MOST_ITEMS_AT_ONCE = 100


# The aggregate checks every value again: it is the authority, but stops at the first fault. These tell all at once.


class AddOrderItemBody(Strict):
    product_name: Annotated[
        str, PlainValidator(values.product_name), fields.text(values.NAME_LENGTH, "Not blank.", "ノートPC")
    ]
    quantity: Annotated[int, PlainValidator(values.quantity), described(fields.QUANTITY, "How many of it.", 1)]
    unit_price: Annotated[
        Decimal,
        PlainValidator(values.unit_price),
        described(fields.AMOUNT, "Money, exact to two decimal places.", Decimal("80000.00")),
    ]


def _refuse_many(value: object) -> object:
    """Before anything looks at each of them."""
    if isinstance(value, list) and len(value) > MOST_ITEMS_AT_ONCE:
        raise InvalidValue("items", f"must be at most {MOST_ITEMS_AT_ONCE} items")
    return value


class PlaceOrderBody(Strict):
    customer_name: Annotated[
        str, PlainValidator(values.customer_name), fields.text(values.NAME_LENGTH, "Not blank.", "山田太郎")
    ]
    total_amount: Annotated[
        Decimal,
        PlainValidator(values.total_amount),
        described(fields.POSITIVE_AMOUNT, "What the customer pays; items do not change it.", Decimal("83000.00")),
    ]
    items: Annotated[
        tuple[AddOrderItemBody, ...],
        Field(max_length=MOST_ITEMS_AT_ONCE, description="Added at once: all of them or, with the order, none."),
        BeforeValidator(_refuse_many),
    ] = ()


def place_order() -> ResponseReturnValue:
    body = read_body(PlaceOrderBody)
    items = tuple(
        NewItem(product_name=item.product_name, quantity=item.quantity, unit_price=item.unit_price)
        for item in body.items
    )
    command = PlaceOrder(
        order_id=str(uuid7()), customer_name=body.customer_name, total_amount=body.total_amount, items=items
    )
    return accept(command, body)


def add_item(order_id: str) -> ResponseReturnValue:
    body = read_body(AddOrderItemBody)
    command = AddOrderItem(
        order_id=order_id,
        product_name=body.product_name,
        quantity=body.quantity,
        unit_price=body.unit_price,
    )
    return accept(command, body)


class ConfirmOrderBody(Strict):
    pass


def confirm_order(order_id: str) -> ResponseReturnValue:
    body = read_body(ConfirmOrderBody, optional=True)
    return accept(ConfirmOrder(order_id=order_id), body)


class CancelOrderBody(Strict):
    reason: Annotated[
        str,
        PlainValidator(values.reason),
        fields.text(values.REASON_LENGTH, "Not blank.", "顧客都合", refused=values.CONTROLS_BUT_LINES),
    ]


def cancel_order(order_id: str) -> ResponseReturnValue:
    body = read_body(CancelOrderBody)
    return accept(CancelOrder(order_id=order_id, reason=body.reason), body)


class ShipOrderBody(Strict):
    tracking_number: Annotated[
        str,
        PlainValidator(values.tracking_number),
        fields.text(values.TRACKING_NUMBER_LENGTH, "Not blank.", "TRACK-12345678"),
    ]


def ship_order(order_id: str) -> ResponseReturnValue:
    body = read_body(ShipOrderBody)
    return accept(ShipOrder(order_id=order_id, tracking_number=body.tracking_number), body)


def accept(command: OrderCommand, body: BaseModel) -> ResponseReturnValue:
    """Append and commit, then tell the workers, then answer; or answer again what this Idempotency-Key got before."""
    handled = OrderCommandHandler(stores(db.engine), max_items=current_app.config["MAX_ITEMS"]).handle(
        command,
        metadata=event_metadata(),
        expected_versions=headers.expected_versions(),
        once=headers.idempotency_key(body),
    )
    enqueuer: Enqueuer = current_app.extensions[ENQUEUER]
    enqueuer.enqueue(handled.recorded)
    order_id, version, _ = handled.outcome
    answered = {"ETag": headers.etag(version)}
    if isinstance(command, PlaceOrder):
        answered["Location"] = url_for("show_order", order_id=order_id)
    if not handled.recorded:
        answered["Idempotent-Replayed"] = "true"
    seconds = headers.wait_seconds()
    if seconds and order_is_shown(order_id, version, seconds):
        answered["Preference-Applied"] = "wait"
    return handled.outcome._asdict(), 201 if isinstance(command, PlaceOrder) else 200, answered


class Accepted(BaseModel):
    """The command's last event is on disk."""

    order_id: fields.OrderId
    version: fields.Version
    position: fields.Position


COMMAND_HEADERS = (
    header_fields.IDEMPOTENCY_KEY,
    header_fields.IF_MATCH,
    header_fields.PREFER,
    header_fields.REQUEST_ID,
)
COMMAND_PROBLEMS = (
    problems.CONCURRENT_CHANGE,
    problems.KEY_REUSED,
    problems.ORDER_HAS_MOVED_ON,
)


def accepted(status: int, version: int, *more: str) -> Answer:
    """`version` is that of the example; `more` are further headers."""
    return Answer(
        status=status,
        description="The event is on disk.",
        model=Accepted,
        headers=(
            header_fields.ETAG,
            *more,
            header_fields.IDEMPOTENT_REPLAYED,
            header_fields.PREFERENCE_APPLIED,
        ),
        example={"order_id": fields.EXAMPLE_ORDER_ID, "version": version, "position": 40 + version},
    )


def change(
    view: Callable[[str], ResponseReturnValue],
    path: str,
    *,
    summary: str,
    description: str,
    body: type[BaseModel],
    example: Mapping[str, object],
    version: int,
    follows: tuple[str, ...],
    body_required: bool = True,
    problems_of_its_own: Problems = (),
) -> Operation:
    """The operation of a command that changes an order; `version` is the order's after it, in the example."""
    return Operation(
        method="post",
        path=path,
        in_path=fields.ORDER_ID_IN_PATH,
        view=view,
        scope=Scope.ORDERS_WRITE,
        summary=summary,
        description=description,
        headers=COMMAND_HEADERS,
        body=body,
        body_required=body_required,
        example=example,
        answers=(accepted(200, version),),
        problems=(
            *COMMAND_PROBLEMS,
            problems.ORDER_NOT_FOUND,
            problems.REFUSED_BY_STATUS,
            problems.EVENT_UNKNOWN,
            *problems_of_its_own,
        ),
        follows=follows,
        link={"header.If-Match": "$response.header.ETag"},
    )


# The examples are one order's life: each command can be sent, with its example, after one that it follows.
OPERATIONS = (
    Operation(
        method="post",
        path="/orders",
        view=place_order,
        scope=Scope.ORDERS_WRITE,
        summary="Place an order",
        description="With items too, if they are known; the version answered is that of the last event.",
        headers=COMMAND_HEADERS,
        body=PlaceOrderBody,
        example={"customer_name": "山田太郎", "total_amount": Decimal("83000.00")},
        answers=(accepted(201, 1, header_fields.LOCATION),),
        problems=(*COMMAND_PROBLEMS, problems.ORDER_ALREADY_PLACED, problems.TOO_MANY_ITEMS),
        follows=("add_item", "cancel_order", "show_order", "show_events"),
    ),
    change(
        add_item,
        "/orders/{order_id}/add_item",
        summary="Add an item",
        description="Only while the order is pending.",
        body=AddOrderItemBody,
        problems_of_its_own=(problems.TOO_MANY_ITEMS,),
        example={"product_name": "ノートPC", "quantity": 1, "unit_price": Decimal("80000.00")},
        version=2,
        follows=("add_item", "confirm_order", "cancel_order", "show_order", "show_events", "show_diff"),
    ),
    change(
        confirm_order,
        "/orders/{order_id}/confirm",
        summary="Confirm an order",
        description="Only a pending order with at least one item. A body is not needed.",
        body=ConfirmOrderBody,
        body_required=False,
        example={},
        version=3,
        follows=("ship_order", "cancel_order", "show_order", "show_events"),
    ),
    change(
        cancel_order,
        "/orders/{order_id}/cancel",
        summary="Cancel an order",
        description="Unless it is shipped or cancelled.",
        body=CancelOrderBody,
        example={"reason": "顧客都合"},
        version=4,
        follows=("show_order", "show_events"),
    ),
    change(
        ship_order,
        "/orders/{order_id}/ship",
        summary="Ship an order",
        description="Only a confirmed order.",
        body=ShipOrderBody,
        example={"tracking_number": "TRACK-12345678"},
        version=4,
        follows=("show_order", "show_events"),
    ),
)
