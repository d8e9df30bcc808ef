"""Every error answer, as application/problem+json (RFC 9457): the one place where refusals meet HTTP."""

import logging
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from core.command_handler import ConcurrentChange, OrderHasMovedOn
from core.idempotency import KeyUsedForAnotherRequest
from core.orders.errors import InvalidValue, OrderAlreadyPlaced, OrderNotFound, RefusedByStatus
from core.read_models.history import NoSuchVersion, NotPlacedYet
from webapp.headers import InvalidHeader
from webapp.json_text import InvalidJson
from webapp.requests import InvalidRequest, UnsupportedMediaType

logger = logging.getLogger(__name__)

MOST_FAULTS = 100  # that an answer lists


@dataclass(frozen=True, slots=True)
class Problem:
    """`slug` is the stable end of the problem's type, "/problems/<slug>", where `meaning` can be read."""

    slug: str
    status: int
    title: str
    meaning: str


NOT_JSON = Problem("not-json", 400, "The body is not JSON", "Send one JSON text (RFC 8259) in UTF-8.")
BAD_REQUEST = Problem("bad-request", 400, "The request cannot be read", "The HTTP request itself is malformed.")
NOT_FOUND = Problem("not-found", 404, "There is nothing here", "No route has this path; see the table of endpoints.")
ORDER_NOT_FOUND = Problem("order-not-found", 404, "There is no such order", "No order was placed under this id.")
METHOD_NOT_ALLOWED = Problem(
    "method-not-allowed", 405, "The method is not allowed here", "The Allow header lists the methods of this path."
)
REFUSED_BY_STATUS = Problem(
    "refused-by-status",
    409,
    "The order's state refuses this",
    "The order is not in a state that allows the command; `order_status` is the state it is in.",
)
ORDER_ALREADY_PLACED = Problem(
    "order-already-placed", 409, "The order has already been placed", "Another order was placed under this id."
)
CONCURRENT_CHANGE = Problem(
    "concurrent-change",
    409,
    "A concurrent change won",
    "Other commands changed the order at the same time. Nothing was stored; the command may be sent again.",
)
INVALID_HEADER = Problem(
    "invalid-header", 400, "A header cannot be honoured", "The detail says which header, and what it may hold."
)
NO_SUCH_VERSION = Problem(
    "no-such-version",
    404,
    "The order has no such version",
    "Versions count 1, 2, 3 … without gaps; `latest_version` is the order's last.",
)
NOT_PLACED_YET = Problem(
    "not-placed-yet",
    404,
    "The order had not been placed by then",
    "The time asked for is before the order's first event.",
)
ORDER_HAS_MOVED_ON = Problem(
    "order-has-moved-on",
    412,
    "The order has moved on",
    "If-Match names versions that the order is not at; `version` is the one it is at. Nothing was stored.",
)
KEY_REUSED = Problem(
    "idempotency-key-reused",
    422,
    "The Idempotency-Key belongs to another request",
    "The key was sent before with another path or body. Use a new key for a new request; nothing was stored.",
)
TOO_LARGE = Problem("content-too-large", 413, "The body is too large", "A body may have 1 MiB at the most.")
UNSUPPORTED = Problem(
    "unsupported-media-type",
    415,
    "The body's type is not supported",
    "Send Content-Type: application/json, in UTF-8.",
)
INVALID = Problem(
    "invalid-request",
    422,
    "Some values are wrong",
    "`errors` lists the first hundred faults: `pointer` (RFC 6901) says where in the body or query, `detail` what is "
    "wrong.",
)
INTERNAL = Problem("internal-error", 500, "Something went wrong here", "A fault of the service; the logs say more.")
DATABASE_AWAY = Problem(
    "database-away",
    503,
    "The database is away",
    "Try again after Retry-After seconds. A command may have been stored if the database went away during it.",
)
READ_MODEL_BEHIND = Problem(
    "read-model-behind",
    503,
    "The read model is behind",
    "The order's events are stored but not shown yet. Try again after Retry-After seconds.",
)

PROBLEMS = {
    problem.slug: problem
    for problem in (
        NOT_JSON,
        BAD_REQUEST,
        NOT_FOUND,
        ORDER_NOT_FOUND,
        METHOD_NOT_ALLOWED,
        REFUSED_BY_STATUS,
        ORDER_ALREADY_PLACED,
        CONCURRENT_CHANGE,
        INVALID_HEADER,
        NO_SUCH_VERSION,
        NOT_PLACED_YET,
        ORDER_HAS_MOVED_ON,
        KEY_REUSED,
        TOO_LARGE,
        UNSUPPORTED,
        INVALID,
        INTERNAL,
        DATABASE_AWAY,
        READ_MODEL_BEHIND,
    )
}

_OF_STATUS = {400: BAD_REQUEST, 404: NOT_FOUND, 405: METHOD_NOT_ALLOWED, 413: TOO_LARGE, 415: UNSUPPORTED}


class ReadModelBehind(Exception):
    """What was asked for is stored but not shown yet; `shown` says how far the read model is, if that is known."""

    def __init__(self, message: str, **shown: int) -> None:
        super().__init__(message)
        self.shown = shown


def answer(problem: Problem, detail: str, *, headers: dict[str, str] | None = None, **extensions: Any) -> Response:
    """The problem document; `extensions` are further members of it."""
    document = {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        **extensions,
    }
    body = current_app.json.dumps(document)
    return Response(body, problem.status, headers, content_type="application/problem+json")


def init_app(app: Flask) -> None:
    handlers: dict[type[Exception], Any] = {
        HTTPException: _http,
        InvalidJson: lambda error: answer(NOT_JSON, str(error)),
        UnsupportedMediaType: lambda _: answer(UNSUPPORTED, UNSUPPORTED.meaning),
        InvalidRequest: _invalid_request,
        InvalidValue: lambda error: _invalid_request(InvalidRequest([(f"#/{error.field}", error.detail)])),
        OrderNotFound: lambda error: answer(ORDER_NOT_FOUND, str(error)),
        OrderAlreadyPlaced: lambda error: answer(ORDER_ALREADY_PLACED, str(error)),
        RefusedByStatus: lambda error: answer(REFUSED_BY_STATUS, str(error), order_status=error.status),
        ConcurrentChange: lambda error: answer(CONCURRENT_CHANGE, str(error)),
        OrderHasMovedOn: lambda error: answer(ORDER_HAS_MOVED_ON, str(error), version=error.version),
        KeyUsedForAnotherRequest: lambda _: answer(KEY_REUSED, KEY_REUSED.meaning),
        InvalidHeader: lambda error: answer(INVALID_HEADER, str(error)),
        NoSuchVersion: lambda error: answer(NO_SUCH_VERSION, str(error), latest_version=error.latest),
        NotPlacedYet: lambda error: answer(NOT_PLACED_YET, str(error)),
        ReadModelBehind: _read_model_behind,
        OperationalError: _database_away,
        InterfaceError: _database_away,
        PoolTimeout: _database_away,
        ProgrammingError: _programming,
        Exception: _unexpected,
    }
    for error, handler in handlers.items():
        app.register_error_handler(error, handler)
    app.add_url_rule("/problems/<slug>", "problem", _explain)


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    problem = _OF_STATUS.get(status, BAD_REQUEST if status < 500 else INTERNAL)
    kept = {name: value for name, value in error.get_headers() if name == "Allow"}
    return answer(problem, problem.meaning, headers=kept)


def _read_model_behind(error: ReadModelBehind) -> Response:
    return answer(READ_MODEL_BEHIND, str(error), headers={"Retry-After": "1"}, **error.shown)


def _invalid_request(error: InvalidRequest) -> Response:
    faults = [{"pointer": pointer, "detail": detail} for pointer, detail in error.errors[:MOST_FAULTS]]
    noun = "value is" if len(error.errors) == 1 else "values are"
    told = "see errors" if len(faults) == len(error.errors) else f"errors has the first {MOST_FAULTS}"
    return answer(INVALID, f"{len(error.errors)} {noun} wrong; {told}.", errors=faults)


def _database_away(error: Exception) -> Response:
    logger.error("The database is away: %s", error)
    return answer(DATABASE_AWAY, "The database does not answer; try again.", headers={"Retry-After": "2"})


def _programming(error: ProgrammingError) -> Response:
    """A missing table is a database that is not migrated yet; anything else is a fault of ours."""
    if getattr(error.orig, "sqlstate", None) == "42P01":
        return _database_away(error)
    return _unexpected(error)


def _unexpected(error: Exception) -> Response:
    logger.error("Unexpected error", exc_info=error)
    return answer(INTERNAL, "The service failed on this request; nothing more can be said here.")


def _explain(slug: str) -> ResponseReturnValue:
    problem = PROBLEMS.get(slug)
    if problem is None:
        return answer(NOT_FOUND, NOT_FOUND.meaning)
    text = f"{problem.title} ({problem.status})\n\n{problem.meaning}\n"
    return Response(text, content_type="text/plain; charset=utf-8")
