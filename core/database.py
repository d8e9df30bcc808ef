"""PostgreSQL for both sides: connection settings that web, workers and commands share, and the list of tables."""

import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from psycopg import Connection
from psycopg import Error as DriverError
from psycopg.pq import TransactionStatus
from pydantic_core import from_json
from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.types import UserDefinedType

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    }
)

# A server that is gone without a word, as after a failover, is noticed in 20 seconds, not after a quarter of an hour.
NOTICE_SILENCE: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # ms
}


def refuse_dead(connection: Connection[Any], *_: object) -> None:
    """Raises DisconnectionError, and the pool then connects anew, if the server has ended an idle connection."""
    if not connection.closed:
        idle = select.poll()
        idle.register(connection.fileno(), select.POLLIN)
        if not idle.poll(0):  # the server speaks unasked only to say that this is the end
            return
    raise DisconnectionError


# READ COMMITTED is stated because the guards rely on it: each statement sees what was committed before it began.
ENGINE_OPTIONS: dict[str, Any] = {
    "isolation_level": "READ COMMITTED",
    "json_deserializer": from_json,  # four times as quick as the standard library's, which counts when reading events
    "hide_parameters": True,  # errors are logged and stored; customers' names must not be
    "pool_events": [(refuse_dead, "checkout")],  # a ping instead would cost each transaction a round trip
    "pool_size": 10,
    "max_overflow": 0,
    "pool_timeout": 5,
    "connect_args": {
        "connect_timeout": 3,
        "application_name": "orderlog",
        "options": "-c TimeZone=UTC",
        **NOTICE_SILENCE,
    },
}


class XID8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id, which never wraps round."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


def sqlalchemy_url(database_url: str) -> str:
    """`postgres://` and `postgresql://` URLs, as hosts hand them out, made to name the psycopg driver."""
    return make_url(database_url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def libpq_url(database_url: str) -> str:
    """The same for psycopg itself."""
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)


def connect(database_url: str, **options: Any) -> Engine:
    """An engine; opens no connection until one is needed, so it may be made before a process forks."""
    return create_engine(sqlalchemy_url(database_url), **{**ENGINE_OPTIONS, **options})


def session_factory(database_url: str) -> sessionmaker[Session]:
    return sessionmaker(connect(database_url))


def derived_session_factory(database_url: str, **settings: str) -> sessionmaker[Session]:
    """For what can be made again from events: commits do not wait for the disk, and a crash of PostgreSQL may undo the
    last of them. It undoes those after them too, so a checkpoint never outlives the rows that it vouches for.

    `settings` are PostgreSQL's, for each connection."""
    settings = {"TimeZone": "UTC", "synchronous_commit": "off", **settings}
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return sessionmaker(connect(database_url, connect_args={**ENGINE_OPTIONS["connect_args"], "options": options}))


def driver_connection(session: Session) -> Connection[Any]:
    """The driver's connection that this session's transaction runs on, for statements that run often or need COPY."""
    return _driver_connection(session.connection().connection)


def _driver_connection(pooled: PoolProxiedConnection) -> Connection[Any]:
    # SQLAlchemy types it for every driver there is; the URLs here name psycopg's.
    connection: Connection[Any] = pooled.driver_connection  # type: ignore[assignment]
    return connection


@contextmanager
def autocommitting(engine: Engine) -> Iterator[Connection[Any]]:
    """A connection of the pool on which each statement is a transaction of its own, and so one round trip with it."""
    pooled = engine.raw_connection()
    connection = _driver_connection(pooled)
    try:
        connection.autocommit = True
        yield connection
    finally:
        if connection.closed or connection.info.transaction_status is not TransactionStatus.IDLE:
            pooled.invalidate()
        else:
            connection.autocommit = False
        pooled.close()


@contextmanager
def transaction(engine: Engine, *, pipeline: bool) -> Iterator[Connection[Any]]:
    """A transaction on a connection of the pool. In a pipeline its statements are sent together, BEGIN and COMMIT too,
    and wait only where a result is fetched; COPY cannot be used then."""
    with autocommitting(engine) as connection:
        if not pipeline:
            with connection.transaction():
                yield connection
            return
        try:
            with connection.pipeline() as statements:
                try:
                    connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")  # psycopg's own BEGIN is waited for
                    yield connection
                    connection.execute("COMMIT")
                except Exception:  # the server's or the block's: either leaves statements whose results nobody fetched
                    with suppress(DriverError):  # those that followed the one that failed; psycopg would log them
                        statements.sync()
                    raise
        finally:
            if not connection.closed:
                connection.rollback()
