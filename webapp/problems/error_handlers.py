"""The one place where errors meet HTTP: an error becomes the problem that names its class, or the nearest above it."""

import logging

from flask import Flask, Response, current_app
from psycopg.errors import DiskFull

from core.database import LOST_STATEMENT
from core.orders.errors import InvalidValue
from core.safe_errors import describe, original
from webapp.api.requests import InvalidRequest
from webapp.health.readiness import READINESS
from webapp.problems.catalogue import DATABASE_AWAY, DATABASE_BUSY, INTERNAL, PROBLEMS
from webapp.problems.problem import Problem

logger = logging.getLogger(__name__)

PROBLEM_OF = {kind: problem for problem in PROBLEMS.values() for kind in (type(problem.example), *problem.others)}


def init_app(app: Flask) -> None:
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> Response:
    """The problem document of this error (RFC 9457)."""
    if isinstance(error, InvalidValue):
        error = InvalidRequest([(f"#/{error.field}", error.detail)])
    problem = problem_of(error)
    body = current_app.json.dumps(problem.document(error))
    return Response(body, problem.status, problem.headers(error), content_type="application/problem+json")


def problem_of(error: Exception) -> Problem:
    """Which it is; what somebody should look into is logged."""
    problem = next(PROBLEM_OF[kind] for kind in type(original(error)).__mro__ if kind in PROBLEM_OF)
    _log(problem, error)
    return problem


def _log(problem: Problem, error: Exception) -> None:
    if problem is INTERNAL:
        logger.error("Unexpected error", exc_info=error)
    elif problem in (DATABASE_AWAY, DATABASE_BUSY):
        lost = isinstance(original(error), LOST_STATEMENT)
        if isinstance(original(error), DiskFull):
            current_app.extensions[READINESS].disk_is_full()
        advice = "; set DATABASE_POOLER=transaction if a pooler is between" if lost else ""
        logger.error("%s: %s%s", problem.title, describe(error), advice)
