"""The commands of the contract: each appends one event."""

from webapp.api.schemas import AddOrderItemBody, CancelOrderBody, ConfirmOrderBody, PlaceOrderBody, ShipOrderBody
from webapp.contract import examples
from webapp.contract.answers import Accepted
from webapp.contract.header_fields import (
    ETAG,
    IDEMPOTENCY_KEY,
    IDEMPOTENT_REPLAYED,
    IF_MATCH,
    LOCATION,
    PREFER,
    PREFERENCE_APPLIED,
    REQUEST_ID,
)
from webapp.contract.operation import Answer, Headers, Operation
from webapp.problems import catalogue as problems

TAG = "Commands"
LOOKS = ("show_order", "show_events")

_HEADERS = (IDEMPOTENCY_KEY["name"], IF_MATCH["name"], PREFER["name"], REQUEST_ID)
_PROBLEMS = (
    problems.NOT_JSON,
    problems.INVALID_HEADER,
    problems.CONCURRENT_CHANGE,
    problems.TOO_LARGE,
    problems.UNSUPPORTED,
    problems.INVALID,
    problems.KEY_REUSED,
)
_CHANGE_PROBLEMS = (
    *_PROBLEMS,
    problems.NOT_FOUND,
    problems.ORDER_NOT_FOUND,
    problems.REFUSED_BY_STATUS,
    problems.ORDER_HAS_MOVED_ON,
    problems.EVENT_UNKNOWN,
)


def _accepted(status: int, version: int, headers: Headers = ()) -> Answer:
    return Answer(
        status=status,
        description="The event is on disk.",
        model=Accepted,
        headers=(ETAG, *headers, IDEMPOTENT_REPLAYED, PREFERENCE_APPLIED),
        example=examples.accepted(version),
    )


OPERATIONS = (
    Operation(
        endpoint="commands.place_order",
        method="post",
        path="/orders",
        name="place_order",
        summary="Place an order",
        tag=TAG,
        headers=_HEADERS,
        body=PlaceOrderBody,
        body_example=examples.PLACE_ORDER,
        answers=(_accepted(201, 1, (LOCATION,)),),
        problems=(*_PROBLEMS, problems.ORDER_ALREADY_PLACED, problems.ORDER_HAS_MOVED_ON),
        leads_to=("add_item", "cancel_order", *LOOKS),
    ),
    Operation(
        endpoint="commands.add_item",
        method="post",
        path="/orders/{order_id}/add_item",
        name="add_item",
        summary="Add an item",
        description="Only while the order is pending.",
        tag=TAG,
        headers=_HEADERS,
        body=AddOrderItemBody,
        body_example=examples.ADD_ITEM,
        answers=(_accepted(200, 2),),
        problems=_CHANGE_PROBLEMS,
        leads_to=("add_item", "confirm_order", "cancel_order", *LOOKS, "show_diff"),
    ),
    Operation(
        endpoint="commands.confirm_order",
        method="post",
        path="/orders/{order_id}/confirm",
        name="confirm_order",
        summary="Confirm an order",
        description="Only a pending order with at least one item. A body is not needed.",
        tag=TAG,
        headers=_HEADERS,
        body=ConfirmOrderBody,
        body_required=False,
        body_example={},
        answers=(_accepted(200, 3),),
        problems=_CHANGE_PROBLEMS,
        leads_to=("ship_order", "cancel_order", *LOOKS),
    ),
    Operation(
        endpoint="commands.cancel_order",
        method="post",
        path="/orders/{order_id}/cancel",
        name="cancel_order",
        summary="Cancel an order",
        description="Unless it is shipped or cancelled.",
        tag=TAG,
        headers=_HEADERS,
        body=CancelOrderBody,
        body_example=examples.CANCEL_ORDER,
        answers=(_accepted(200, 4),),
        problems=_CHANGE_PROBLEMS,
        leads_to=LOOKS,
    ),
    Operation(
        endpoint="commands.ship_order",
        method="post",
        path="/orders/{order_id}/ship",
        name="ship_order",
        summary="Ship an order",
        description="Only a confirmed order.",
        tag=TAG,
        headers=_HEADERS,
        body=ShipOrderBody,
        body_example=examples.SHIP_ORDER,
        answers=(_accepted(200, 4),),
        problems=_CHANGE_PROBLEMS,
        leads_to=LOOKS,
    ),
)
