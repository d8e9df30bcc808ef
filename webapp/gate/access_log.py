"""One log line per request: the route's rule instead of the path, so that no name or id of a client gets into it."""

import logging
import time
from collections.abc import Collection
from functools import partial

from flask import Flask, Response, g, request

from core.logs import bind

logger = logging.getLogger(__name__)


def init_app(app: Flask, probes: Collection[str]) -> None:
    """`probes` are the endpoints that come too often to be logged above DEBUG."""
    app.before_request(_begin)
    app.after_request(partial(_log, probes))


def _begin() -> None:
    g.began = time.perf_counter()
    bind(method=request.method, route=_route())


def _log(probes: Collection[str], response: Response) -> Response:
    duration = round((time.perf_counter() - g.began) * 1000, 1)
    fields = {"status": response.status_code, "duration_ms": duration}
    level = logging.DEBUG if request.endpoint in probes else logging.INFO
    logger.log(level, "%s %s %s in %s ms", request.method, _route(), response.status_code, duration, extra=fields)
    return response


def _route() -> str:
    """The rule, such as /orders/<order_id:order_id>; a dash where no route matches."""
    return request.url_rule.rule if request.url_rule else "-"
