"""`/livez` and `/readyz`: whether the process runs, and whether it can serve."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from webapp.health.readiness import OK, checks
from webapp.problems.catalogue import NotReady

bp = Blueprint("health", __name__)


@bp.get("/livez")
def livez() -> ResponseReturnValue:
    return {"status": "alive"}


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """503 while PostgreSQL is away or not migrated; without a broker or catch-up news may be late."""
    found = checks()
    if found["postgresql"] != OK:
        raise NotReady(found)
    return {"status": "ready" if set(found.values()) == {OK} else "degraded", "checks": found}
