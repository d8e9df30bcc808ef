"""Reading requests: every fault of a body or query is found at once."""

from typing import TypeVar
from urllib.parse import quote

from flask import request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import RequestEntityTooLarge

from core.orders.errors import InvalidValue
from webapp import json_text

SomeModel = TypeVar("SomeModel", bound=BaseModel)

LARGEST_BODY = 1024 * 1024  # bytes


class UnsupportedMediaType(Exception):
    """A body that does not say it is JSON in UTF-8."""


class InvalidRequest(Exception):
    """`errors` has one (JSON Pointer as a URI fragment, RFC 6901 section 6; detail) per fault."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__(f"{len(errors)} faults")
        self.errors = errors


def read_body(model: type[SomeModel], *, optional: bool = False) -> SomeModel:
    """The JSON body. Raises UnsupportedMediaType, InvalidJson, InvalidRequest, RequestEntityTooLarge."""
    body = request.get_data()
    if len(body) > LARGEST_BODY:
        raise RequestEntityTooLarge
    if optional and not body:
        return _validate(model, {})
    if request.mimetype != "application/json" or not _is_utf8(request.mimetype_params.get("charset", "utf-8")):
        raise UnsupportedMediaType
    try:
        return _validate(model, json_text.parse(body))
    except json_text.RepeatedKey as error:
        raise InvalidRequest([(_pointer(error.key), "is given more than once")]) from error


def read_query(model: type[SomeModel]) -> SomeModel:
    """The query string. Raises InvalidRequest."""
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        raise InvalidRequest([(_pointer(name), "is given more than once") for name in repeated])
    return _validate(model, request.args.to_dict())


def _validate(model: type[SomeModel], value: object) -> SomeModel:
    try:
        return model.model_validate(value)
    except ValidationError as invalid:
        faults = [(_pointer(*error["loc"]), _detail(error)) for error in invalid.errors()]
        raise InvalidRequest(faults) from invalid


def _detail(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a known field"
        case "model_type":
            return "must be a JSON object"
    refusal = error.get("ctx", {}).get("error")
    return refusal.detail if isinstance(refusal, InvalidValue) else error["msg"]


def _pointer(*path: int | str) -> str:
    keys = (str(key).replace("~", "~0").replace("/", "~1") for key in path)
    return "#" + "".join("/" + quote(key, safe="~", errors="replace") for key in keys)


def _is_utf8(charset: str) -> bool:
    return charset.lower() in ("utf-8", "utf8")
