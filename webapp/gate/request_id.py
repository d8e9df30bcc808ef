"""X-Request-Id: one id for the request, its events, its tasks and all their log lines."""

import re

from flask import Flask, Response, g, request
from uuid_utils import uuid7

from core.logs import bind, unbind

HEADER = "X-Request-Id"

_ACCEPTED = re.compile(r"[!-+\--~]{1,128}", re.ASCII)  # a header that came twice arrives with a comma


def init_app(app: Flask) -> None:
    """Before anything else that answers requests or logs."""
    app.before_request(_begin)
    app.after_request(_tell)
    app.teardown_request(_end)


def current() -> str:
    request_id: str = g.request_id
    return request_id


def event_metadata() -> dict[str, str]:
    """For the events of one command: who, in which request, and an id of the command itself."""
    return {"actor": g.actor, "correlation_id": current(), "causation_id": str(uuid7())}


def _begin() -> None:
    given = request.headers.get(HEADER, "")
    g.request_id = given if _ACCEPTED.fullmatch(given) else str(uuid7())
    unbind()
    bind(request_id=g.request_id)


def _tell(response: Response) -> Response:
    response.headers[HEADER] = current()
    return response


def _end(_: BaseException | None) -> None:
    unbind()
