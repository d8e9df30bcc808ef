"""What kind of error it is, and what may be said of it: what PostgreSQL quotes of rows holds customers' names."""

from traceback import format_exception, format_tb

import psycopg
from psycopg.errors import (
    CannotCoerce,
    DatatypeMismatch,
    LockNotAvailable,
    ProgramLimitExceeded,
    RaiseException,
    UndefinedFunction,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# COPY and pipelines raise the driver's own errors, past SQLAlchemy.
DATABASE_ERRORS = (DBAPIError, PoolTimeout, psycopg.Error)

# What PostgreSQL says of a value that a row cannot hold; trying again gives the same answer.
VALUE_REFUSED = (
    psycopg.DataError,
    psycopg.IntegrityError,
    DatatypeMismatch,
    CannotCoerce,
    UndefinedFunction,
    ProgramLimitExceeded,
    RaiseException,
)


def original(error: BaseException) -> BaseException:
    """The driver's error, where SQLAlchemy has wrapped one."""
    return error.orig or error if isinstance(error, DBAPIError) else error


def is_transient(error: BaseException) -> bool:
    """Whether it passes by itself: a database that is away, a deadlock, a migration that is still to come."""
    cause = original(error)
    if not isinstance(cause, psycopg.Error):
        return isinstance(cause, PoolTimeout)
    cannot_be_sent = isinstance(cause, psycopg.ProgrammingError) and cause.sqlstate is None
    return not cannot_be_sent and not isinstance(cause, VALUE_REFUSED)


def waited_for_lock(error: BaseException) -> bool:
    """Whether somebody holds a row for longer than this connection waits."""
    return isinstance(original(error), LockNotAvailable)


def describe(error: BaseException) -> str:
    """Its kind and message; of a database error without DETAIL and CONTEXT."""
    cause = original(error)
    message = cause.diag.message_primary or str(cause) if isinstance(cause, psycopg.Error) else str(cause)
    return _storable(f"{type(cause).__name__}: {message}")


def trace(error: BaseException) -> str:
    """Its traceback, with the same care."""
    if not isinstance(original(error), psycopg.Error):
        return _storable("".join(format_exception(error)))
    lines = "".join(format_tb(error.__traceback__))
    return f"Traceback (most recent call last):\n{_storable(lines)}{describe(error)}\n"


def _storable(text: str) -> str:
    """PostgreSQL stores neither NUL nor lone surrogates."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
