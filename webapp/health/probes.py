"""`/livez` and `/readyz`: whether the process runs, and whether it can serve."""

from typing import Literal

from flask import current_app
from flask.typing import ResponseReturnValue
from pydantic import BaseModel

from webapp.api.operation import Answer, Operation
from webapp.gate.auth import OPEN
from webapp.health import readiness
from webapp.health.readiness import OK, READINESS
from webapp.problems.catalogue import NOT_READY, NotReady


class Liveness(BaseModel):
    status: Literal["alive"]


def livez() -> ResponseReturnValue:
    return {"status": "alive"}


class Readiness(BaseModel):
    """`checks` says what is wrong, or "ok"; a service that is degraded works, but news may be late."""

    status: Literal["ready", "degraded"]
    checks: dict[str, str]


def readyz() -> ResponseReturnValue:
    """503 while PostgreSQL is away or not migrated; without a broker or catch-up news may be late."""
    kept: readiness.Readiness = current_app.extensions[READINESS]
    results = kept.checks()
    if results["postgresql"] != OK:
        raise NotReady(results)
    return {"status": "ready" if set(results.values()) == {OK} else "degraded", "checks": results}


OPERATIONS = (
    Operation(
        path="/livez",
        view=livez,
        scope=OPEN,
        is_probe=True,
        summary="Whether the process runs",
        answers=(Answer(description="It runs.", model=Liveness, example={"status": "alive"}),),
    ),
    Operation(
        path="/readyz",
        view=readyz,
        scope=OPEN,
        is_probe=True,
        summary="Whether it can serve",
        answers=(
            Answer(
                description="It can.",
                model=Readiness,
                example={"status": "ready", "checks": {"postgresql": "ok", "redis": "ok", "catch_up": "ok"}},
            ),
        ),
        problems=(NOT_READY,),
    ),
)
