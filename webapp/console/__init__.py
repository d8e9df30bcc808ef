"""The console: pages for people, over the same functions of core as the API. PAGES names every one of them."""

import hashlib
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, request
from flask_babel import Babel, get_locale
from flask_wtf.csrf import CSRFProtect

from webapp.console import (
    assets,
    errors,
    events,
    language,
    order,
    orders,
    overview,
    read_models,
    read_side,
    rebuilds,
    sign_in,
    webhooks,
    words,
)
from webapp.console.page import BLUEPRINT, Page
from webapp.gate.auth import OPEN, SESSION, Needed

PAGES: tuple[Page, ...] = (
    *overview.PAGES,
    *orders.PAGES,
    *order.PAGES,
    *events.PAGES,
    *read_models.PAGES,
    *rebuilds.PAGES,
    *webhooks.PAGES,
    *sign_in.PAGES,
    *errors.PAGES,
)
BY_ENDPOINT = {page.endpoint: page for page in PAGES}
NEEDED: dict[str, Needed] = {
    **{page.endpoint: OPEN if page.open else SESSION for page in PAGES},
    f"{BLUEPRINT}.{assets.ASSET}": OPEN,
}

# Browsers then say in a form's request where it comes from, which webapp/gate/auth.py looks at.
HEADERS = {
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


def configuration(*, https_only: bool) -> dict[str, Any]:
    """Flask's, for the session cookie and the forms."""
    return {
        "SESSION_COOKIE_NAME": "orderlog_console",
        "SESSION_COOKIE_PATH": "/console",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Strict",
        "SESSION_COOKIE_SECURE": https_only,
        "WTF_CSRF_CHECK_DEFAULT": False,  # the API takes no cookie; the blueprint asks for the check
        "WTF_CSRF_TIME_LIMIT": None,  # a token lasts as long as its session
    }


def local_secret(database_url: str) -> str:
    """The same in all processes. It is only for a service without keys, which answers this machine alone."""
    return hashlib.sha256(f"orderlog console {database_url}".encode()).hexdigest()


def init_app(app: Flask) -> None:
    Babel(app, default_translation_directories=str(Path(__file__).parent / "translations"), locale_selector=language.of)
    csrf = CSRFProtect(app)
    blueprint = Blueprint(BLUEPRINT, __name__, url_prefix="/console", template_folder="templates")
    for page in PAGES:
        blueprint.add_url_rule(page.path, page.name, page.view, methods=page.methods)
    blueprint.add_url_rule("/assets/<digest>/<name>", assets.ASSET, assets.asset)
    blueprint.before_request(_require_scope)
    blueprint.before_request(csrf.protect)
    blueprint.after_request(language.keep)
    blueprint.after_request(_add_headers)
    blueprint.register_error_handler(Exception, errors.show)
    blueprint.context_processor(_shared)
    app.jinja_env.filters.update(words.FILTERS)
    read_side.init_app(app)
    app.register_blueprint(blueprint)


def _require_scope() -> None:
    """Raises what sign_in.require raises."""
    page = BY_ENDPOINT.get(request.endpoint or "")
    if page is not None and current_app.config["AUTH"]:
        sign_in.require(page)


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _shared() -> dict[str, Any]:
    """For every template, beside words.FILTERS; a macro gets it if it is imported `with context`."""
    shown = [page for page in PAGES if page.title and sign_in.may_see(page)]
    return {
        "asset": assets.url,
        "bar": shown,
        "key": g.get("key"),
        "language": str(get_locale()),
        "other_language": language.switch(),
        "read_side": read_side.pill,
    }
