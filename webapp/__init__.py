"""The Flask side: JSON API and `flask` commands."""

from collections.abc import Mapping
from typing import Any

from flask import Flask
from werkzeug.routing import BaseConverter

from core.database import ENGINE_OPTIONS, libpq_url, sqlalchemy_url
from core.orders import values
from core.settings import Settings
from webapp import cli, commands, health, problems, queries, waiting
from webapp.database import db, migrate
from webapp.json_text import ExactJson
from webapp.requests import LARGEST_BODY
from worker.enqueue import Enqueuer


class OrderIdConverter(BaseConverter):
    """What cannot be an order's id has no route, and so never reaches the database."""

    regex = values.ORDER_ID


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """The application; connects to nothing yet. Raises MissingSetting."""
    settings = Settings.load()
    app = Flask(__name__, static_folder=None)
    app.config.from_mapping(
        SQLALCHEMY_DATABASE_URI=sqlalchemy_url(settings.database_url),
        SQLALCHEMY_ENGINE_OPTIONS=ENGINE_OPTIONS,
        REDIS_URL=settings.redis_url,
        IDEMPOTENCY_HOURS=settings.idempotency_hours,
        # Werkzeug cuts a chunked body off at this length; the byte more shows that it was too long.
        MAX_CONTENT_LENGTH=LARGEST_BODY + 1,
    )
    app.config.update(config or {})
    app.json = ExactJson(app)
    app.url_map.converters["order_id"] = OrderIdConverter
    app.url_map.merge_slashes = False
    app.extensions[commands.ENQUEUER] = Enqueuer()
    app.extensions[waiting.WAITS] = waiting.Waits(libpq_url(settings.database_url))
    db.init_app(app)
    migrate.init_app(app)
    for part in (problems, cli):
        part.init_app(app)
    for blueprint in (commands.bp, queries.bp, health.bp):
        app.register_blueprint(blueprint)
    return app
