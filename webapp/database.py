"""One database session per request, over the tables that core declares; and one on the replica, if there is one."""

from pathlib import Path
from typing import Any

from flask import Flask, g
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Session, sessionmaker

from core.database import ENGINE_OPTIONS, metadata, sqlalchemy_url

db = SQLAlchemy(metadata=metadata)
migrate = Migrate(db=db, directory=str(Path(__file__).parent.parent / "migrations"))

REPLICA = "replica"
UNHURRIED = "unhurried"  # without a statement_timeout
OWNER = "owner"  # of the tables; unhurried too


def binds(database_url: str, owner_url: str | None, replica_url: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Flask-SQLAlchemy's SQLALCHEMY_BINDS; `options` are those of `engine_options`."""
    urls = {UNHURRIED: database_url, OWNER: owner_url or database_url}
    unhurried = {name: {**ENGINE_OPTIONS, "url": sqlalchemy_url(url)} for name, url in urls.items()}
    return unhurried | ({REPLICA: {**options, "url": sqlalchemy_url(replica_url)}} if replica_url else {})


def init_app(app: Flask) -> None:
    db.init_app(app)
    migrate.init_app(app)
    app.teardown_appcontext(lambda _: _leave_replica())


def engine_options(statement_timeout: float, pool_timeout: float) -> dict[str, Any]:
    """For requests: what cannot be had soon is refused soon. Both in seconds."""
    options = f"{ENGINE_OPTIONS['connect_args']['options']} -c statement_timeout={round(statement_timeout * 1000)}"
    connect_args = {**ENGINE_OPTIONS["connect_args"], "options": options}
    return {**ENGINE_OPTIONS, "pool_timeout": pool_timeout, "connect_args": connect_args}


def has_replica() -> bool:
    return REPLICA in db.engines


def read_session() -> Session:
    """The request's session for read models: on the replica if there is one. All else belongs on the primary."""
    if not has_replica():
        return db.session()
    if "replica_session" not in g:
        g.replica_session = Session(db.engines[REPLICA])
    session: Session = g.replica_session
    return session


def release() -> None:
    """Give the request's connections back before its end; sessions take new ones when they are used again."""
    db.session.remove()
    _leave_replica()


def _leave_replica() -> None:
    session = g.pop("replica_session", None)
    if session is not None:
        session.close()


def read_sessions() -> sessionmaker[Session]:
    """As `read_session`, but transactions of their own."""
    return sessionmaker(db.engines.get(REPLICA, db.engine))


def sessions() -> sessionmaker[Session]:
    """Transactions of their own beside that of the request."""
    return sessionmaker(db.engine)


def unhurried_sessions() -> sessionmaker[Session]:
    """For commands of the service, whose steps may take as long as they need."""
    return sessionmaker(db.engines[UNHURRIED])


def owner_sessions() -> sessionmaker[Session]:
    """For commands that the service's own role may not run."""
    return sessionmaker(db.engines[OWNER])
