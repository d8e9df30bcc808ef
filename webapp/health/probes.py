"""Whether the process runs, and whether it can serve."""

from alembic.script import ScriptDirectory
from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy import text

from core.durability import dangers
from core.projection.status import seconds_since_catch_up
from core.read_models.wiring import PROJECTORS
from core.safe_errors import DATABASE_ERRORS
from webapp.database import db, migrate
from webapp.health import readiness
from webapp.problems.catalogue import NotReady

bp = Blueprint("health", __name__)

CATCH_UP_OVERDUE = 15  # seconds; it should come by every two


@bp.get("/livez")
def livez() -> ResponseReturnValue:
    return {"status": "alive"}


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """503 while PostgreSQL is away or not migrated; without a broker or catch-up news may be late."""
    checks = {"postgresql": _postgresql(), **_neighbours()}
    if checks["postgresql"] != "ok":
        raise NotReady(checks)
    checks["catch_up"] = _catch_up()
    if danger := _danger():
        checks["durability"] = danger
    return {"status": "ready" if set(checks.values()) == {"ok"} else "degraded", "checks": checks}


def _neighbours() -> dict[str, str]:
    config = current_app.config
    return readiness.of_neighbours(config["BROKER_URL"], config["REDIS_URL"], limits=bool(config["RATE_LIMIT"]))


def _postgresql() -> str:
    try:
        session = db.session()
        found = session.execute(text("SELECT to_regclass('alembic_version')")).scalar()
        version = session.execute(text("SELECT version_num FROM alembic_version")).scalar() if found else None
    except DATABASE_ERRORS:
        return "PostgreSQL does not answer"
    migrations = ScriptDirectory(migrate.directory)
    wanted = migrations.get_current_head()
    earlier = {None, *(migration.revision for migration in migrations.walk_revisions())} - {wanted}
    if version in earlier:  # one that is not known here is a later release's, which is about to take over
        return f"the database is at migration {version}, not {wanted}; run `flask db upgrade`"
    return "ok"


def _catch_up() -> str:
    try:
        seconds = seconds_since_catch_up(db.session(), PROJECTORS)
    except DATABASE_ERRORS:
        return "PostgreSQL does not answer"
    if seconds is None:
        return "catch-up has never come by; see that beat and a worker run"
    if seconds > CATCH_UP_OVERDUE:
        return f"catch-up last came by {seconds:.0f} s ago; see that beat and a worker run"
    return "ok"


def _danger() -> str:
    """Nothing where the server keeps what it acknowledges."""
    try:
        return " ".join(dangers(db.session()))
    except DATABASE_ERRORS:
        return "PostgreSQL does not answer"
