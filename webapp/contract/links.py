"""What can follow an answer (OpenAPI links): the next command of the same order, or reading what was written."""

from collections.abc import Mapping

from webapp.contract.operation import Operation

Parameters = Mapping[str, object]

_ORDER_ID = {"order_id": "$response.body#/order_id"}
_UNLESS_CHANGED = {**_ORDER_ID, "header.If-Match": "$response.header.ETag"}

# By the operation that follows a command; parameters that are not named here are the client's choice.
AFTER_A_COMMAND: Mapping[str, Parameters] = {
    "add_item": _UNLESS_CHANGED,
    "confirm_order": _UNLESS_CHANGED,
    "cancel_order": _UNLESS_CHANGED,
    "ship_order": _UNLESS_CHANGED,
    "show_events": _ORDER_ID,
    "show_order": {**_ORDER_ID, "query.min_version": "$response.body#/version", "header.Prefer": "wait=5"},
    "show_diff": {**_ORDER_ID, "query.from": 1, "query.to": "$response.body#/version"},
}


def links(operation: Operation) -> dict[str, dict[str, object]]:
    """By the name of the operation that follows."""
    return {name: {"operationId": name, "parameters": dict(AFTER_A_COMMAND[name])} for name in operation.leads_to}
