"""Errors in words, to be stored and shown: without what PostgreSQL quotes of the rows, which holds customers' names."""

from traceback import format_exception, format_tb

import psycopg
from sqlalchemy.exc import DBAPIError


def describe(error: BaseException) -> str:
    """Its kind and message; of a database error without DETAIL and CONTEXT."""
    cause = _cause(error)
    message = cause.diag.message_primary or str(cause) if isinstance(cause, psycopg.Error) else str(cause)
    return _storable(f"{type(cause).__name__}: {message}")


def trace(error: BaseException) -> str:
    """Its traceback, with the same care."""
    if not isinstance(_cause(error), psycopg.Error):
        return _storable("".join(format_exception(error)))
    lines = "".join(format_tb(error.__traceback__))
    return f"Traceback (most recent call last):\n{_storable(lines)}{describe(error)}\n"


def _cause(error: BaseException) -> BaseException:
    return error.orig or error if isinstance(error, DBAPIError) else error


def _storable(text: str) -> str:
    """PostgreSQL stores neither NUL nor lone surrogates."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
