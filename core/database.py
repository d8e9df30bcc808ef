"""PostgreSQL for both sides: connections that web, workers and commands share, with or without a pooler between, and
the list of tables.

A pooler in transaction mode, such as PgBouncer's, gives each transaction any of its connections. Nothing then outlives
a transaction: no setting, no prepared statement, no LISTEN, no lock.
"""

import select
from collections.abc import Mapping
from typing import Any

from psycopg import Connection, OperationalError
from psycopg.errors import DuplicatePreparedStatement, InvalidSqlStatementName, ReadOnlySqlTransaction
from pydantic_core import from_json
from sqlalchemy import URL, Engine, ExceptionContext, MetaData, create_engine, event
from sqlalchemy import Connection as SqlConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.types import UserDefinedType

from core.urls import POSTGRESQL, parameters

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    }
)

# Where the URL says nothing else. A server that is gone without a word, as after a failover, is noticed in 20 seconds,
# not after a quarter of an hour.
CONNECTING: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # ms
}

# READ COMMITTED is stated because the guards rely on it: each statement sees what was committed before it began.
READ_COMMITTED = "READ COMMITTED"
SETTINGS = {"TimeZone": "UTC", "default_transaction_isolation": READ_COMMITTED.lower()}

ENGINE_OPTIONS: dict[str, Any] = {
    "isolation_level": READ_COMMITTED,
    "json_deserializer": from_json,  # four times as quick as the standard library's, which counts when reading events
    "hide_parameters": True,  # errors are logged and stored; customers' names must not be
    "pool_size": 10,
    "max_overflow": 0,
    "pool_timeout": 5,
}

SET_IN_TRANSACTION = "set in each transaction"  # where a pooled connection has the statement that does it


class UnusableDatabase(OperationalError):
    """A database that the service cannot work on; the message says what would do."""


# What another connection may not meet: a primary that has become a replica keeps its connections, but another server
# may have its name by now; and a pooler that was not found out loses prepared statements.
LOST_STATEMENT = DuplicatePreparedStatement, InvalidSqlStatementName
OF_THIS_CONNECTION = (ReadOnlySqlTransaction, *LOST_STATEMENT)


class XID8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id, which never wraps round."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


def connection_arguments(database_url: str, application_name: str = "orderlog") -> dict[str, Any]:
    """For psycopg: what the URL says, and where it says nothing, CONNECTING and this name. Raises UnusableUrl."""
    said = parameters(database_url, POSTGRESQL)
    return {**CONNECTING, "application_name": application_name, **said, "client_encoding": "UTF8"}


def engine_url(database_url: str) -> URL:
    """The same for SQLAlchemy, whose URLs take several hosts, and whatever libpq knows, after the question mark."""
    said = {name: str(value) for name, value in connection_arguments(database_url).items()}
    user, password, name = (said.pop(part, None) for part in ("user", "password", "dbname"))
    return URL.create("postgresql+psycopg", username=user, password=password, database=name, query=said)


def engine_options(
    database_url: str, *, pooled: bool = False, settings: Mapping[str, str] | None = None, **options: Any
) -> dict[str, Any]:
    """For SQLAlchemy: ENGINE_OPTIONS, and `options` that go before them. `settings` are PostgreSQL's.

    `pooled` is for a pooler that cannot be found out."""
    wanted = {**SETTINGS, **(settings or {})}

    def settle(connection: Connection[Any], record: ConnectionPoolEntry) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding not in ("UTF8", None):
            connection.close()
            raise UnusableDatabase(f"The database's encoding is {encoding}; make one with ENCODING 'UTF8'.")
        connection.autocommit = True
        if pooled or has_pooler(connection):
            connection.prepare_threshold = None
            record.info[SET_IN_TRANSACTION] = _set(wanted, for_transaction=True)
        else:
            connection.execute(_set(wanted, for_transaction=False))
        connection.autocommit = False

    return {
        "url": engine_url(database_url),
        "pool_events": [
            (settle, "connect"),
            (refuse_dead, "checkout"),  # a ping instead would cost each transaction a round trip
        ],
        **ENGINE_OPTIONS,
        **options,
    }


def has_pooler(connection: Connection[Any]) -> bool:
    """Whether somebody between has answered for PostgreSQL when this connection began. Commands to cancel a statement
    pass through poolers, so they hand out process ids of their own."""
    (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (None,)
    return bool(pid != connection.info.backend_pid)


def _set(settings: Mapping[str, str], *, for_transaction: bool) -> str:
    local = "true" if for_transaction else "false"
    return "SELECT " + ", ".join(f"set_config('{name}', '{value}', {local})" for name, value in settings.items())


def refuse_dead(connection: Connection[Any], *_: object) -> None:
    """Raises DisconnectionError, and the pool then connects anew, if the server has ended an idle connection."""
    if not connection.closed:
        idle = select.poll()
        idle.register(connection.fileno(), select.POLLIN)
        if not idle.poll(0):  # the server speaks unasked only to say that this is the end
            return
    raise DisconnectionError


def attend(engine: Engine) -> Engine:
    """Every engine of the service needs this: what its transactions begin with, and which connections it gives up."""
    event.listen(engine, "begin", _set_in_transaction)
    event.listen(engine, "handle_error", _give_up)
    return engine


def _set_in_transaction(connection: SqlConnection) -> None:
    if statement := connection.info.get(SET_IN_TRANSACTION):
        connection.exec_driver_sql(statement)


def _give_up(context: ExceptionContext) -> None:
    if isinstance(context.original_exception, OF_THIS_CONNECTION):
        context.is_disconnect = True


def is_pooled(connection: SqlConnection) -> bool:
    """Whether a pooler is between, so that nothing outlives a transaction."""
    return SET_IN_TRANSACTION in connection.info


def connect(database_url: str, **options: Any) -> Engine:
    """An engine, with the options of `engine_options`; opens no connection until one is needed, so it may be made
    before a process forks."""
    return attend(create_engine(**engine_options(database_url, **options)))


def session_factory(database_url: str, *, pooled: bool = False) -> sessionmaker[Session]:
    return sessionmaker(connect(database_url, pooled=pooled))


def derived_session_factory(database_url: str, *, pooled: bool = False, **settings: str) -> sessionmaker[Session]:
    """For what can be made again from events: commits do not wait for the disk, and a crash of PostgreSQL may undo the
    last of them. It undoes those after them too, so a checkpoint never outlives the rows that it vouches for.

    `settings` are PostgreSQL's."""
    return sessionmaker(connect(database_url, pooled=pooled, settings={"synchronous_commit": "off", **settings}))


def driver_connection(session: Session) -> Connection[Any]:
    """The driver's connection that this session's transaction runs on, for statements that run often or need COPY."""
    return of_driver(session.connection().connection)


def of_driver(pooled: PoolProxiedConnection) -> Connection[Any]:
    """SQLAlchemy types it for every driver there is; the URLs here name psycopg's."""
    connection: Connection[Any] = pooled.driver_connection  # type: ignore[assignment]
    return connection
