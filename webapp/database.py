"""One database session per request, over the tables that core declares; and one on the replica, if there is one."""

from pathlib import Path
from typing import Any

from flask import Flask, g
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Session, sessionmaker

from core.database import attend, engine_options, metadata
from core.settings import Settings, WebSettings

db = SQLAlchemy(metadata=metadata)
migrate = Migrate(db=db, directory=str(Path(__file__).parent.parent / "migrations"))

REPLICA = "replica"
UNHURRIED = "unhurried"  # without a statement_timeout
OWNER = "owner"  # of the tables; unhurried too


def configuration(settings: Settings, web: WebSettings) -> dict[str, Any]:
    """Flask-SQLAlchemy's: for requests, what cannot be had soon is refused soon."""
    pooled = settings.pooled
    soon: dict[str, Any] = {
        "settings": {"statement_timeout": f"{round(web.statement_timeout * 1000)}ms"},
        "pool_timeout": web.pool_timeout,
    }
    binds = {
        UNHURRIED: engine_options(settings.commands_url, pooled=settings.commands_pooled),
        OWNER: engine_options(settings.owner_url or settings.database_url, pooled=pooled),
    }
    if settings.replica_url:
        binds[REPLICA] = engine_options(settings.replica_url, pooled=pooled, **soon)
    of_requests = engine_options(settings.database_url, pooled=pooled, **soon)
    return {"SQLALCHEMY_ENGINE_OPTIONS": of_requests, "SQLALCHEMY_BINDS": binds}


def init_app(app: Flask) -> None:
    db.init_app(app)
    with app.app_context():
        for engine in db.engines.values():
            attend(engine)
    migrate.init_app(app)
    app.teardown_appcontext(lambda _: _leave_replica())


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
