"""Transactions on the driver's own connections, in as few round trips as they can, with or without a pooler between."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from psycopg import Connection, Cursor
from psycopg import Error as DriverError
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine

from core.database import OF_THIS_CONNECTION, SET_IN_TRANSACTION, of_driver


class Statements:
    """Each statement is a transaction of its own, and one round trip with it, on a connection behind a pooler."""

    def __init__(self, connection: Connection[Any], settings: str) -> None:
        self._connection = connection
        self._settings = settings

    def execute(self, query: str, parameters: Mapping[str, Any]) -> Cursor[Any]:
        with _pipeline(self._connection, self._settings):
            return self._connection.execute(query, parameters)


@contextmanager
def autocommitting(engine: Engine) -> Iterator[Connection[Any] | Statements]:
    """A connection of the pool on which each statement is a transaction of its own, and so one round trip with it."""
    with _taken(engine) as (connection, settings):
        yield Statements(connection, settings) if settings else connection


@contextmanager
def transaction(engine: Engine, *, pipeline: bool) -> Iterator[Connection[Any]]:
    """A transaction on a connection of the pool. In a pipeline its statements are sent together, BEGIN and COMMIT too,
    and wait only where a result is fetched; COPY cannot be used then."""
    with _taken(engine) as (connection, settings):
        if pipeline:
            with _pipeline(connection, settings):
                yield connection
            return
        with connection.transaction():
            if settings:
                connection.execute(settings)
            yield connection


@contextmanager
def _taken(engine: Engine) -> Iterator[tuple[Connection[Any], str | None]]:
    """A connection of the pool in autocommit mode; and the statement that its transactions begin with, if pooled."""
    pooled = engine.raw_connection()
    connection = of_driver(pooled)
    try:
        connection.autocommit = True
        yield connection, pooled.info.get(SET_IN_TRANSACTION)
    except OF_THIS_CONNECTION:
        connection.close()
        raise
    finally:
        if connection.closed or connection.info.transaction_status is not TransactionStatus.IDLE:
            pooled.invalidate()
        else:
            connection.autocommit = False
        pooled.close()


@contextmanager
def _pipeline(connection: Connection[Any], settings: str | None) -> Iterator[None]:
    try:
        with connection.pipeline() as statements:
            try:
                connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")  # psycopg's own BEGIN is waited for
                if settings:
                    connection.execute(settings)
                yield
                connection.execute("COMMIT")
            except Exception:  # the server's or the block's: either leaves statements whose results nobody fetched
                with suppress(DriverError):  # those that followed the one that failed; psycopg would log them
                    statements.sync()
                raise
    finally:
        if not connection.closed:
            connection.rollback()
