"""The reader's language: what the switch was set to, or what the browser asks for."""

from flask import Response, current_app, request, url_for
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

LANGUAGES = {"en": "English", "ja": "日本語"}
COOKIE = "orderlog_language"
COOKIE_SECONDS = 365 * 24 * 60 * 60
LONGEST_FIELD = 1024


def of() -> str:
    """By `?lang=`, the cookie of an earlier one, and Accept-Language, in this order."""
    for chosen in (request.args.get("lang"), request.cookies.get(COOKIE)):
        if chosen in LANGUAGES:
            return chosen
    accepted = request.headers.get("Accept-Language", "")[:LONGEST_FIELD]
    return parse_accept_header(accepted, LanguageAccept).best_match(LANGUAGES, default="en") or "en"


def switch() -> dict[str, str]:
    """The other language, and this page in it."""
    other = "en" if of() == "ja" else "ja"
    given = {name: value for name, value in request.args.items() if name != "lang"}
    here = request.endpoint if request.endpoint and request.method == "GET" else "console.show_overview"
    values = (request.view_args or {}) if request.method == "GET" else {}
    return {"code": other, "name": LANGUAGES[other], "url": url_for(here, **{**given, **values, "lang": other})}


def keep(response: Response) -> Response:
    chosen = request.args.get("lang")
    if chosen in LANGUAGES:
        secure = current_app.config["SESSION_COOKIE_SECURE"]
        response.set_cookie(
            COOKIE, chosen, max_age=COOKIE_SECONDS, path="/console", httponly=True, samesite="Strict", secure=secure
        )
    return response
