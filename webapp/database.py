"""One database session per request, over the tables that core declares."""

from pathlib import Path
from typing import Any

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

from core.database import ENGINE_OPTIONS, metadata

db = SQLAlchemy(metadata=metadata)
migrate = Migrate(db=db, directory=str(Path(__file__).parent.parent / "migrations"))


def engine_options(statement_timeout: float, pool_timeout: float) -> dict[str, Any]:
    """For requests: what cannot be had soon is refused soon. Both in seconds."""
    options = f"{ENGINE_OPTIONS['connect_args']['options']} -c statement_timeout={round(statement_timeout * 1000)}"
    connect_args = {**ENGINE_OPTIONS["connect_args"], "options": options}
    return {**ENGINE_OPTIONS, "pool_timeout": pool_timeout, "connect_args": connect_args}


def sessions() -> sessionmaker[Session]:
    """Transactions of their own beside that of the request."""
    return sessionmaker(db.engine)


def unhurried_sessions() -> sessionmaker[Session]:
    """For commands of the service, whose steps may take as long as they need."""
    unhurried = sessions()
    event.listen(unhurried, "after_begin", _take_your_time)
    return unhurried


def _take_your_time(_session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
