"""The JSON Schema of single values, with the limits that core/orders/values.py enforces."""

from decimal import Decimal
from typing import Any

from pydantic import WithJsonSchema

from core.orders import values
from core.orders.order import Status

JsonSchema = dict[str, Any]

# What `str.isprintable` calls printable, and not a space; NUL is refused anywhere. Lone surrogates are no JSON text.
NOT_BLANK = r"^[^\x00]*[^\p{C}\p{Z}\x00][^\x00]*$"
CENT = Decimal("0.01")

ORDER_ID: JsonSchema = {"type": "string", "pattern": f"^{values.ORDER_ID}$"}
AMOUNT: JsonSchema = {
    "type": "number",
    "format": "decimal",
    "minimum": 0,
    "maximum": values.LARGEST_AMOUNT,
    "multipleOf": CENT,
}
POSITIVE_AMOUNT: JsonSchema = {
    **{name: limit for name, limit in AMOUNT.items() if name != "minimum"},
    "exclusiveMinimum": 0,
}
SUM: JsonSchema = {name: limit for name, limit in AMOUNT.items() if name != "maximum"}
QUANTITY: JsonSchema = {"type": "integer", "minimum": 1, "maximum": values.LARGEST_QUANTITY}
COUNT: JsonSchema = {"type": "integer", "minimum": 1}
STATUS: JsonSchema = {"type": "string", "enum": [status.value for status in Status]}
TIME: JsonSchema = {"type": "string", "format": "date-time"}


def text(longest: int) -> JsonSchema:
    return {"type": "string", "minLength": 1, "maxLength": longest, "pattern": NOT_BLANK}


def described(schema: JsonSchema, description: str, example: object = None) -> WithJsonSchema:
    """For a field's annotation."""
    shown = {} if example is None else {"examples": [example]}
    return WithJsonSchema({**schema, "description": description, **shown})
