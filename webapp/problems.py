"""Every error answer, as application/problem+json (RFC 9457): the one place where refusals meet HTTP."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, current_app
from flask.typing import ResponseReturnValue
from flask_limiter.errors import RateLimitExceeded
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from core.api_keys import KeyRefused
from core.command_handler import ConcurrentChange, OrderHasMovedOn
from core.idempotency import KeyUsedForAnotherRequest
from core.orders.errors import InvalidValue, OrderAlreadyPlaced, OrderNotFound, RefusedByStatus
from core.read_models.faults import describe
from core.read_models.history import NoSuchVersion, NotPlacedYet
from webapp import rate_limits
from webapp.auth import MissingKey, MissingScope, OnlyForThisMachine
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
KEY_REQUIRED = Problem(
    "key-required",
    401,
    "An API key is needed",
    "Send Authorization: Bearer with a key that is known here, has not expired and is not revoked.",
)
SCOPE_REQUIRED = Problem(
    "scope-required",
    403,
    "The key is not for this",
    "The key is good but has not the scope that this needs; `needed_scope` names it. Ask for a key that has it.",
)
ONLY_FOR_THIS_MACHINE = Problem(
    "only-for-this-machine",
    403,
    "Only programs on this machine are answered",
    "The service runs without API keys (ORDERLOG_AUTH=off), so it answers neither other machines nor proxies.",
)
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
TOO_MANY_REQUESTS = Problem(
    "too-many-requests",
    429,
    "Too many requests",
    "The limit of this key or address is used up. Go on after Retry-After seconds; nothing was done for this request.",
)
INTERNAL = Problem("internal-error", 500, "Something went wrong here", "A fault of the service; the logs say more.")
DATABASE_AWAY = Problem(
    "database-away",
    503,
    "The database is away",
    "Try again after Retry-After seconds. A command may have been stored if the database went away during it.",
)
DATABASE_BUSY = Problem(
    "database-busy",
    503,
    "The database is busy",
    "No connection was free in time, or a statement was given up after its time. Try again after Retry-After seconds.",
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
        KEY_REQUIRED,
        SCOPE_REQUIRED,
        ONLY_FOR_THIS_MACHINE,
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
        TOO_MANY_REQUESTS,
        INTERNAL,
        DATABASE_AWAY,
        DATABASE_BUSY,
        READ_MODEL_BEHIND,
    )
}

_OF_STATUS = {400: BAD_REQUEST, 404: NOT_FOUND, 405: METHOD_NOT_ALLOWED, 413: TOO_LARGE, 415: UNSUPPORTED}


class ReadModelBehind(Exception):
    """What was asked for is stored but not shown yet; `shown` says how far the read model is, if that is known."""

    def __init__(self, message: str, **shown: int) -> None:
        super().__init__(message)
        self.shown = shown


def answer(problem: Problem, detail: str, *, headers: Mapping[str, str] | None = None, **extensions: Any) -> Response:
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
        RateLimitExceeded: lambda _: answer(
            TOO_MANY_REQUESTS, TOO_MANY_REQUESTS.meaning, headers=rate_limits.headers()
        ),
        MissingKey: lambda error: answer(KEY_REQUIRED, str(error), headers=_challenge()),
        KeyRefused: lambda error: answer(KEY_REQUIRED, str(error), headers=_challenge("invalid_token")),
        MissingScope: _missing_scope,
        OnlyForThisMachine: lambda error: answer(ONLY_FOR_THIS_MACHINE, str(error)),
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
        PoolTimeout: _database_busy,
        ProgrammingError: _programming,
        Exception: _unexpected,
    }
    for error, handler in handlers.items():
        app.register_error_handler(error, handler)


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


def _challenge(error: str | None = None, scope: str | None = None) -> dict[str, str]:
    """RFC 6750, section 3; a request without any key is told no error."""
    given = {"realm": "orderlog", "error": error, "scope": scope}
    return {"WWW-Authenticate": "Bearer " + ", ".join(f'{name}="{value}"' for name, value in given.items() if value)}


def _missing_scope(error: MissingScope) -> Response:
    headers = _challenge("insufficient_scope", error.needed)
    return answer(SCOPE_REQUIRED, str(error), headers=headers, needed_scope=error.needed)


def _database_busy(error: Exception) -> Response:
    logger.error("The database is busy: %s", describe(error))
    return answer(DATABASE_BUSY, "The database is too busy; try again.", headers={"Retry-After": "2"})


def _database_away(error: Exception) -> Response:
    """A statement that was given up after `statement_timeout` comes as such an error too."""
    if isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", None) == "57014":
        return _database_busy(error)
    logger.error("The database is away: %s", describe(error))
    return answer(DATABASE_AWAY, "The database does not answer; try again.", headers={"Retry-After": "2"})


def _programming(error: ProgrammingError) -> Response:
    """A missing table is a database that is not migrated yet; anything else is a fault of ours."""
    if getattr(error.orig, "sqlstate", None) == "42P01":
        return _database_away(error)
    return _unexpected(error)


def _unexpected(error: Exception) -> Response:
    logger.error("Unexpected error", exc_info=error)
    return answer(INTERNAL, "The service failed on this request; nothing more can be said here.")
