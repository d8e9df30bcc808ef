"""Reading requests: every fault of a body or query is found at once."""

from collections.abc import Iterable, Sequence
from typing import TypeVar
from urllib.parse import quote

from flask import request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from core.orders.errors import InvalidValue
from webapp.api import json_text

SomeModel = TypeVar("SomeModel", bound=BaseModel)

LARGEST_BODY = 1024 * 1024  # bytes
MOST_FAULTS = 100  # that an answer lists


class UnsupportedMediaType(Exception):
    """A body that does not say it is JSON in UTF-8."""


class InvalidRequest(Exception):
    """`listed` are the first faults, each a JSON Pointer as a URI fragment (RFC 6901, section 6) and a detail."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        self.listed = faults[:MOST_FAULTS]
        noun = "value is" if len(faults) == 1 else "values are"
        told = "see errors" if len(faults) <= MOST_FAULTS else f"errors has the first {MOST_FAULTS}"
        super().__init__(f"{len(faults)} {noun} wrong; {told}.")


def read_body(model: type[SomeModel], *, optional: bool = False) -> SomeModel:
    """The JSON body. Raises UnsupportedMediaType, InvalidJson, InvalidRequest, RequestEntityTooLarge, BadRequest."""
    body = request.get_data()
    if len(body) > LARGEST_BODY:
        raise RequestEntityTooLarge
    if request.content_length not in (None, len(body)):
        raise BadRequest  # the client went away while sending; what has come is not what it meant
    if optional and not body and "Transfer-Encoding" not in request.headers:  # chunks that stopped look empty too
        return _validate(model, {})
    if request.mimetype != "application/json" or not _is_utf8(request.mimetype_params.get("charset", "utf-8")):
        raise UnsupportedMediaType
    value = json_text.parse(body)
    return _validate(model, value, json_text.repeated(value))


def read_query(model: type[SomeModel]) -> SomeModel:
    """The query string. Raises InvalidRequest."""
    repeated = [(name,) for name, values in request.args.lists() if len(values) > 1]
    return _validate(model, request.args.to_dict(), repeated)


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
