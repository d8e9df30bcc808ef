"""What breaks clients is told apart from what does not."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from webapp.contract.breaking import breaking_changes
from webapp.contract.document import document

Json = dict[str, Any]
Edit = Callable[[Json], object]


def schema(contract: Json, name: str) -> Json:
    found: Json = contract["components"]["schemas"][name]
    return found


def place(contract: Json) -> Json:
    found: Json = contract["paths"]["/orders"]["post"]
    return found


def listing(contract: Json) -> Json:
    found: Json = contract["paths"]["/orders"]["get"]
    return found


BREAKING: dict[str, Edit] = {
    "an operation is gone": lambda new: new["paths"].pop("/orders/{order_id}/ship"),
    "an operation has another name": lambda new: place(new).update(operationId="create_order"),
    "an operation needs another scope": lambda new: place(new).update(security=[{"apiKey": ["admin"]}]),
    "a parameter is gone": lambda new: listing(new)["parameters"].pop(0),
    "a parameter is required": lambda new: listing(new)["parameters"][2].update(required=True),
    "a new parameter is required": lambda new: listing(new)["parameters"].append(
        {"name": "shop", "in": "query", "required": True, "schema": {"type": "string"}}
    ),
    "a body field is required": lambda new: schema(new, "ConfirmOrderBody").update(required=["note"]),
    "a body field is gone": lambda new: schema(new, "PlaceOrderBody")["properties"].pop("customer_name"),
    "a text is shorter": lambda new: schema(new, "PlaceOrderBody")["properties"]["customer_name"].update(maxLength=100),
    "a number is smaller": lambda new: schema(new, "AddOrderItemBody")["properties"]["quantity"].update(maximum=10),
    "a number starts higher": lambda new: schema(new, "AddOrderItemBody")["properties"]["quantity"].update(minimum=2),
    "a type is another": lambda new: schema(new, "AddOrderItemBody")["properties"]["quantity"].update(type="string"),
    "the optional body is required": lambda new: new["paths"]["/orders/{order_id}/confirm"]["post"][
        "requestBody"
    ].update(required=True),
    "a status is gone": lambda new: place(new)["responses"].pop("409"),
    "a header is gone": lambda new: place(new)["responses"]["201"]["headers"].pop("ETag"),
    "an answer has another media type": lambda new: place(new)["responses"]["201"].update(content={}),
    "an answer's field may be missing": lambda new: schema(new, "Accepted")["required"].remove("position"),
    "an answer's field has another type": lambda new: schema(new, "Accepted")["properties"]["version"].update(
        type="string"
    ),
    "an answer's field has a new value": lambda new: schema(new, "Status")["enum"].append("returned"),
    "an answer's field may be null": lambda new: schema(new, "OrderItem")["properties"].update(
        product_name={"anyOf": [{"type": "string"}, {"type": "null"}]}
    ),
    "a status has a new problem": lambda new: place(new)["responses"]["409"]["content"]["application/problem+json"][
        "schema"
    ]["oneOf"].append({"$ref": "#/components/schemas/NotFoundProblem"}),
}

FINE: dict[str, Edit] = {
    "nothing": lambda new: None,
    "a new operation": lambda new: new["paths"].update({"/orders/search": {"get": listing(new)}}),
    "a new optional parameter": lambda new: listing(new)["parameters"].append(
        {"name": "shop", "in": "query", "required": False, "schema": {"type": "string"}}
    ),
    "a new optional field": lambda new: schema(new, "PlaceOrderBody")["properties"].update(note={"type": "string"}),
    "a longer text": lambda new: schema(new, "PlaceOrderBody")["properties"]["customer_name"].update(maxLength=300),
    "a new field of an answer": lambda new: schema(new, "Accepted")["properties"].update(note={"type": "string"}),
    "a new header of an answer": lambda new: place(new)["responses"]["201"]["headers"].update({"X-New": {}}),
    "other words": lambda new: place(new).update(summary="Order something", description="At last."),
}


@pytest.mark.parametrize("what", BREAKING)
def test_a_breaking_change_is_told(what: str) -> None:
    assert changes_by(BREAKING[what])


@pytest.mark.parametrize("what", FINE)
def test_any_other_change_is_not(what: str) -> None:
    assert changes_by(FINE[what]) == []


def changes_by(edit: Edit) -> list[str]:
    new = copy.deepcopy(document())
    edit(new)
    return breaking_changes(document(), new)


def test_it_says_where_and_what() -> None:
    [told] = changes_by(lambda new: place(new)["responses"].pop("409"))

    assert told == "POST /orders: answer 409 is gone"
