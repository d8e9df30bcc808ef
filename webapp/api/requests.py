"""Reading requests: every fault of a body or query is found at once."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote

from flask import request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import BadRequest

from core.orders.errors import InvalidValue
from webapp.api import json_text
from webapp.api.headers import LONGEST_FIELD

SomeModel = TypeVar("SomeModel", bound=BaseModel)

MOST_FAULTS = 100  # that an answer lists
MOST_PARAMETERS = 100  # of a query string

# In bytes: what any body may have, and what JSON's longest spelling of a character and of a number take.
LEAST_LIMIT = 12 * 1024
CHARACTER = len(r"\ud83d\ude00")
NUMBER = 40


class UnsupportedMediaType(Exception):
    """A body that does not say it is JSON in UTF-8."""


class BodyTooLarge(Exception):
    """A body that is longer than the longest good one of its operation."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body of this operation may have {limit} bytes.")


class TooManyChunks(Exception):
    """A body whose chunks would cost more than all that is in them."""

    def __init__(self, most: int) -> None:
        super().__init__(f"A body may have {most} chunks; send it with its length, or in larger ones.")


class InvalidRequest(Exception):
    """`listed` are the first faults, each a JSON Pointer as a URI fragment (RFC 6901, section 6) and a detail."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        self.listed = faults[:MOST_FAULTS]
        noun = "value is" if len(faults) == 1 else "values are"
        told = "see errors" if len(faults) <= MOST_FAULTS else f"errors has the first {MOST_FAULTS}"
        super().__init__(f"{len(faults)} {noun} wrong; {told}.")


@cache
def largest_body(model: type[BaseModel]) -> int:
    """The bytes that its longest good value takes, however it is spelled."""
    schema = model.model_json_schema()
    return max(LEAST_LIMIT, _longest(schema, schema.get("$defs", {})))


def _longest(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> int:
    if "$ref" in schema:
        return _longest(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    match schema["type"]:
        case "string":
            return len('""') + CHARACTER * int(schema.get("maxLength") or max(map(len, schema["enum"])))
        case "array":
            return len("[]") + int(schema["maxItems"]) * (len(", ") + _longest(schema["items"], definitions))
        case "object":
            members = schema["properties"].items()
            return len("{}") + sum(len(f'"{name}": , ') + _longest(value, definitions) for name, value in members)
    return NUMBER


def read_body(model: type[SomeModel], *, optional: bool = False) -> SomeModel:
    """The JSON body.

    Raises BodyTooLarge, RequestTimeout, BadRequest, UnsupportedMediaType, InvalidJson, InvalidRequest."""
    limit = largest_body(model)
    if (request.content_length or 0) > limit or len(body := request.get_data()) > limit:
        raise BodyTooLarge(limit)
    if request.content_length not in (None, len(body)):
        raise BadRequest  # the client went away while sending; what has come is not what it meant
    if optional and not body and "Transfer-Encoding" not in request.headers:  # chunks that stopped look empty too
        return _validate(model, {})
    if len(request.content_type or "") > LONGEST_FIELD:
        raise UnsupportedMediaType
    if request.mimetype != "application/json" or not _is_utf8(request.mimetype_params.get("charset", "utf-8")):
        raise UnsupportedMediaType
    try:
        value = json_text.parse(body)
    except json_text.TooManyValues as too_many:
        raise InvalidRequest([("#", str(too_many))]) from too_many
    return _validate(model, value, json_text.repeated(value))


def read_query(model: type[SomeModel], repeatable: Collection[str] = ()) -> SomeModel:
    """The query string; parameters that are `repeatable` become lists. Raises InvalidRequest."""
    if request.query_string.count(b"&") >= MOST_PARAMETERS:
        raise InvalidRequest([("#", f"must not have over {MOST_PARAMETERS} parameters")])
    given = dict(request.args.lists())
    repeated = [(name,) for name, values in given.items() if len(values) > 1 and name not in repeatable]
    return _validate(
        model, {name: values if name in repeatable else values[0] for name, values in given.items()}, repeated
    )


def _validate(model: type[SomeModel], value: object, repeated: Iterable[json_text.Path] = ()) -> SomeModel:
    """`repeated` keys are faults too, told beside the others."""
    faults = [(_pointer(*path), "is given more than once") for path in repeated]
    try:
        valid = model.model_validate(value)
    except ValidationError as invalid:
        faults += [(_pointer(*error["loc"]), _detail(error)) for error in invalid.errors()]
        raise InvalidRequest(faults) from invalid
    if faults:
        raise InvalidRequest(faults)
    return valid


def _detail(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a known field"
        case "model_type":
            return "must be a JSON object"
        case "tuple_type":
            return "must be a JSON array"
    refusal = error.get("ctx", {}).get("error")
    return refusal.detail if isinstance(refusal, InvalidValue) else error["msg"]


def _pointer(*path: int | str) -> str:
    keys = (str(key).replace("~", "~0").replace("/", "~1") for key in path)
    return "#" + "".join("/" + quote(key, safe="~", errors="replace") for key in keys)


def _is_utf8(charset: str) -> bool:
    return charset.lower() in ("utf-8", "utf8")
