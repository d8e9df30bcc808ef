"""What kind of error it is, and what may be said of it without customer data."""

import re
from traceback import format_tb

import psycopg
from psycopg.errors import (
    CannotCoerce,
    DatatypeMismatch,
    LockNotAvailable,
    ProgramLimitExceeded,
    RaiseException,
    UndefinedFunction,
)
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

OURS = ("core", "worker", "webapp")

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

# Besides our own errors. A ValueError, a KeyError and a failed assertion quote values.
QUOTE_NO_DATA = (PoolTimeout, OSError, AttributeError, ImportError, NameError, TypeError)
WITHHELD = "message withheld, as it may quote customer data"


# What a terminal obeys, what ends a line, and what changes the direction of the text around it.
_OBEYED = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def escaped(text: str) -> str:
    """One line that shows all that is in it: text of customers cannot pass for another line or move the cursor."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def is_ours(error: BaseException) -> bool:
    """Whether this service defines the error; its message then names fields, ids and versions, never values."""
    return type(error).__module__.partition(".")[0] in OURS


def original(error: BaseException) -> BaseException:
    """The error that SQLAlchemy has wrapped: the driver's, or that of a parameter."""
    return error.orig or error if isinstance(error, StatementError) else error


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
    """Its kind, and its message where that cannot quote customer data: the rule for logs, failures and terminals."""
    cause = original(error)
    return escaped(_storable(f"{type(cause).__name__}: {_message(cause)}"))


def trace(error: BaseException) -> str:
    """Its traceback after those of its causes, each followed by its description."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return "\nThis error led to the next:\n\n".join(
        f"Traceback (most recent call last):\n{_storable(''.join(format_tb(link.__traceback__)))}{describe(link)}\n"
        for link in reversed(chain)
    )


def _message(error: BaseException) -> str:
    if isinstance(error, psycopg.Error) and not isinstance(error, psycopg.DataError):
        return error.diag.message_primary or str(error)  # DETAIL and CONTEXT quote rows
    return str(error) if is_ours(error) or isinstance(error, QUOTE_NO_DATA) else WITHHELD


def _storable(text: str) -> str:
    """PostgreSQL stores neither NUL nor lone surrogates."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
