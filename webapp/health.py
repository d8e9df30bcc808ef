"""Whether the process runs, and whether it can serve."""

from alembic.script import ScriptDirectory
from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from webapp.database import db, migrate

bp = Blueprint("health", __name__)

REDIS_TIMEOUT = 0.5  # seconds


@bp.get("/livez")
def livez() -> ResponseReturnValue:
    return {"status": "alive"}


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """503 while PostgreSQL is away or not migrated; without Redis the service works, only slower to show news."""
    checks = {"postgresql": _postgresql(), "redis": _redis()}
    if checks["postgresql"] != "ok":
        return {"status": "unready", "checks": checks}, 503, {"Retry-After": "2"}
    return {"status": "ready" if checks["redis"] == "ok" else "degraded", "checks": checks}


def _postgresql() -> str:
    try:
        session = db.session()
        found = session.execute(text("SELECT to_regclass('alembic_version')")).scalar()
        version = session.execute(text("SELECT version_num FROM alembic_version")).scalar() if found else None
    except (DBAPIError, PoolTimeout):
        return "PostgreSQL does not answer"
    wanted = ScriptDirectory(migrate.directory).get_current_head()
    if version != wanted:
        return f"the database is at migration {version}, not {wanted}; run `flask db upgrade`"
    return "ok"


def _redis() -> str:
    client = Redis.from_url(
        current_app.config["REDIS_URL"],
        socket_connect_timeout=REDIS_TIMEOUT,
        socket_timeout=REDIS_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        client.ping()
    except RedisError:
        return "Redis does not answer; new events are shown by catch-up once it does"
    finally:
        client.close()
    return "ok"
