"""Which refusal is which problem: the one place where errors meet HTTP."""

import logging
from typing import Any

import psycopg
from flask import Flask, Response
from flask.typing import ResponseReturnValue
from flask_limiter.errors import RateLimitExceeded
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from core.api_keys import KeyRefused
from core.command_handler import ConcurrentChange, OrderHasMovedOn
from core.event_sourcing.codec import UnknownEventType
from core.idempotency import KeyUsedForAnotherRequest
from core.orders.errors import InvalidValue, OrderAlreadyPlaced, OrderNotFound, RefusedByStatus
from core.read_models.history import NoSuchVersion, NotPlacedYet
from core.safe_errors import describe, original
from webapp.api.headers import InvalidHeader
from webapp.api.json_text import InvalidJson
from webapp.api.requests import InvalidRequest, UnsupportedMediaType
from webapp.gate import rate_limits
from webapp.gate.auth import MissingKey, MissingScope, OnlyForThisMachine
from webapp.problems import catalogue as problems
from webapp.problems.catalogue import ReadModelBehind, answer

logger = logging.getLogger(__name__)

GIVEN_UP = {"57014", "40001"}  # query_canceled, serialization_failure
MOST_FAULTS = 100  # that an answer lists

_OF_STATUS = {
    400: problems.BAD_REQUEST,
    404: problems.NOT_FOUND,
    405: problems.METHOD_NOT_ALLOWED,
    413: problems.TOO_LARGE,
    415: problems.UNSUPPORTED,
}


def init_app(app: Flask) -> None:
    handlers: dict[type[Exception], Any] = {
        HTTPException: _http,
        RateLimitExceeded: lambda _: answer(
            problems.TOO_MANY_REQUESTS, problems.TOO_MANY_REQUESTS.meaning, headers=rate_limits.headers()
        ),
        MissingKey: lambda error: answer(problems.KEY_REQUIRED, str(error), headers=_challenge()),
        KeyRefused: lambda error: answer(problems.KEY_REQUIRED, str(error), headers=_challenge("invalid_token")),
        MissingScope: _missing_scope,
        OnlyForThisMachine: lambda error: answer(problems.ONLY_FOR_THIS_MACHINE, str(error)),
        InvalidJson: lambda error: answer(problems.NOT_JSON, str(error)),
        UnsupportedMediaType: lambda _: answer(problems.UNSUPPORTED, problems.UNSUPPORTED.meaning),
        InvalidRequest: _invalid_request,
        InvalidValue: lambda error: _invalid_request(InvalidRequest([(f"#/{error.field}", error.detail)])),
        OrderNotFound: lambda error: answer(problems.ORDER_NOT_FOUND, str(error)),
        OrderAlreadyPlaced: lambda error: answer(problems.ORDER_ALREADY_PLACED, str(error)),
        RefusedByStatus: lambda error: answer(problems.REFUSED_BY_STATUS, str(error), order_status=error.status),
        ConcurrentChange: lambda error: answer(problems.CONCURRENT_CHANGE, str(error)),
        OrderHasMovedOn: lambda error: answer(problems.ORDER_HAS_MOVED_ON, str(error), version=error.version),
        KeyUsedForAnotherRequest: lambda _: answer(problems.KEY_REUSED, problems.KEY_REUSED.meaning),
        InvalidHeader: lambda error: answer(problems.INVALID_HEADER, str(error)),
        NoSuchVersion: lambda error: answer(problems.NO_SUCH_VERSION, str(error), latest_version=error.latest),
        NotPlacedYet: lambda error: answer(problems.NOT_PLACED_YET, str(error)),
        UnknownEventType: lambda error: answer(problems.EVENT_UNKNOWN, str(error), headers={"Retry-After": "5"}),
        ReadModelBehind: _read_model_behind,
        OperationalError: _database_away,
        InterfaceError: _database_away,
        PoolTimeout: _database_busy,
        ProgrammingError: _programming,
        psycopg.OperationalError: _database_away,
        psycopg.InterfaceError: _database_away,
        psycopg.ProgrammingError: _programming,
        Exception: _unexpected,
    }
    for error, handler in handlers.items():
        app.register_error_handler(error, handler)


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    problem = _OF_STATUS.get(status, problems.BAD_REQUEST if status < 500 else problems.INTERNAL)
    kept = {name: value for name, value in error.get_headers() if name == "Allow"}
    return answer(problem, problem.meaning, headers=kept)


def _read_model_behind(error: ReadModelBehind) -> Response:
    return answer(problems.READ_MODEL_BEHIND, str(error), headers={"Retry-After": "1"}, **error.shown)


def _invalid_request(error: InvalidRequest) -> Response:
    faults = [{"pointer": pointer, "detail": detail} for pointer, detail in error.errors[:MOST_FAULTS]]
    noun = "value is" if len(error.errors) == 1 else "values are"
    told = "see errors" if len(faults) == len(error.errors) else f"errors has the first {MOST_FAULTS}"
    return answer(problems.INVALID, f"{len(error.errors)} {noun} wrong; {told}.", errors=faults)


def _challenge(error: str | None = None, scope: str | None = None) -> dict[str, str]:
    """RFC 6750, section 3; a request without any key is told no error."""
    given = {"realm": "orderlog", "error": error, "scope": scope}
    return {"WWW-Authenticate": "Bearer " + ", ".join(f'{name}="{value}"' for name, value in given.items() if value)}


def _missing_scope(error: MissingScope) -> Response:
    headers = _challenge("insufficient_scope", error.needed)
    return answer(problems.SCOPE_REQUIRED, str(error), headers=headers, needed_scope=error.needed)


def _database_busy(error: Exception) -> Response:
    logger.error("The database is busy: %s", describe(error))
    return answer(problems.DATABASE_BUSY, "The database is too busy; try again.", headers={"Retry-After": "2"})


def _database_away(error: Exception) -> Response:
    """A statement that was given up comes as such an error too: after `statement_timeout`, or because a replica had to
    replay what it was in the way of."""
    if _sqlstate(error) in GIVEN_UP:
        return _database_busy(error)
    logger.error("The database is away: %s", describe(error))
    return answer(problems.DATABASE_AWAY, "The database does not answer; try again.", headers={"Retry-After": "2"})


def _programming(error: Exception) -> Response:
    """A missing table is a database that is not migrated yet; anything else is a fault of ours."""
    if _sqlstate(error) == "42P01":
        return _database_away(error)
    return _unexpected(error)


def _sqlstate(error: Exception) -> str | None:
    """PostgreSQL's code for it; None for what it has not said."""
    return getattr(original(error), "sqlstate", None)


def _unexpected(error: Exception) -> Response:
    logger.error("Unexpected error", exc_info=error)
    return answer(problems.INTERNAL, "The service failed on this request; nothing more can be said here.")
