"""The Flask side: JSON API and `flask` commands."""

import sys
from collections.abc import Mapping
from typing import Any

from flask import Flask
from werkzeug.routing import BaseConverter

from core import logs
from core.orders import values
from core.settings import MissingSetting, Settings, WebSettings, WrongSetting
from webapp import cli, console, database, operations
from webapp.api import commands, waiting
from webapp.api.json_text import ExactJson
from webapp.contract import pages
from webapp.gate import access_log, auth, rate_limits, request_id, security_headers
from webapp.gate.auth import OPEN
from webapp.health.readiness import KEPT_SECONDS, READINESS, Readiness
from webapp.operations import OPERATIONS
from webapp.problems import error_handlers
from worker.enqueue import Enqueuer


class OrderIdConverter(BaseConverter):
    """A path with an impossible order id has no route, so it never reaches the database."""

    regex = values.ORDER_ID


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """The application; connects to nothing yet. Raises SystemExit, so that whatever starts ends with one sentence."""
    try:
        settings, web = Settings.load(), WebSettings.load()
    except (MissingSetting, WrongSetting) as error:
        sys.exit(f"orderlog: {error}")
    app = Flask(__name__, static_folder=None, template_folder="contract/templates")
    app.config.from_mapping(
        **database.configuration(settings, web),
        COMMANDS_URL=settings.commands_url,
        COMMANDS_POOLED=settings.commands_pooled,
        REDIS_URL=settings.redis_url,
        BROKER_URL=settings.broker_url,
        IDEMPOTENCY_HOURS=settings.idempotency_hours,
        PATIENCE=settings.patience,
        # Werkzeug cuts a chunked body off at this length; the byte more shows that it was too long.
        MAX_CONTENT_LENGTH=max(operation.largest_body for operation in OPERATIONS) + 1,
        AUTH=web.auth,
        RATE_LIMIT=web.rate_limit,
        MAX_ITEMS=web.max_items,
        SECRET_KEY=web.secret_key or (console.local_secret(settings.database_url) if not web.auth else None),
        CURRENCY=web.currency,
        READINESS_SECONDS=KEPT_SECONDS,
    )
    app.config.from_mapping(console.configuration(https_only=web.https_only))
    app.config.update(config or {})
    if not app.testing:
        logs.configure(settings.log_format, settings.log_level)
    app.json = ExactJson(app)
    app.url_map.converters["order_id"] = OrderIdConverter
    app.url_map.merge_slashes = False
    app.extensions[commands.ENQUEUER] = Enqueuer()
    app.extensions[waiting.WAITS] = waiting.Waits(settings.listen_url, replays=settings.replica_url is not None)
    app.extensions[waiting.FEED_WAITS] = waiting.feed_waits(settings.listen_url)
    app.extensions[READINESS] = Readiness(app.config["READINESS_SECONDS"])
    database.init_app(app)
    _guard(app, web)
    for part in (error_handlers, cli, operations, console):
        part.init_app(app)
    return app


def _guard(app: Flask, web: WebSettings) -> None:
    """What each request passes on its way in, in this order."""
    probes = {operation.name for operation in OPERATIONS if operation.is_probe}
    limit = app.config["RATE_LIMIT"]
    if limit:
        limits = rate_limits.Limits(limit, app.config["REDIS_URL"])
        app.extensions[rate_limits.LIMITS] = limits
    request_id.init_app(app)
    access_log.init_app(app, probes)
    security_headers.init_app(app, https_only=web.https_only)
    if limit:
        rate_limits.limit_addresses(app, limits, proxies=web.trusted_proxies, probes=probes)
    scopes = {operation.name: operation.scope for operation in OPERATIONS}
    needed = {**scopes, pages.STYLE_SHEET: OPEN, **console.NEEDED}
    auth.init_app(app, needed, required=app.config["AUTH"])
    if limit:
        rate_limits.limit_keys(app, limits)
