"""Signing in with an API key. The signed cookie holds the key's id and the time of the last request, nothing else."""

import re
import time
from collections.abc import Mapping

from flask import current_app, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString, lazy_gettext
from flask_babel import gettext as _

from core.api_keys import ApiKey, ExpiredKey, KeyRefused, MalformedKey, RevokedKey, Scope, UnknownKey
from core.command_handler import utc_now
from webapp.console.page import Page
from webapp.gate.auth import MissingScope, key_cache

IDLE_SECONDS = 30 * 60
KEY_ID, LAST_SEEN = "key_id", "last_seen"
PLACE_TO_GO = re.compile(r"/console(/[\w~-][\w.~-]*)*(\?[\w.~%&=+:-]*)?", re.ASCII)

REFUSALS: Mapping[type[KeyRefused], LazyString] = {
    MalformedKey: lazy_gettext("This is not an API key: a key looks like ol_…_…, and has 84 characters."),
    UnknownKey: lazy_gettext("This key is not known here."),
    ExpiredKey: lazy_gettext("This key has expired."),
    RevokedKey: lazy_gettext("This key has been revoked."),
}


class ConsoleClosed(Exception):
    """There is nothing to sign cookies with."""


class NotSignedIn(Exception):
    """The page needs a key; `why` is a sentence if there was one that opens nothing any more."""

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = why


def require(page: Page) -> None:
    """Raises ConsoleClosed, NotSignedIn, MissingScope."""
    if not current_app.secret_key:
        raise ConsoleClosed
    if page.open:
        return
    key = _current_key()
    g.key, g.actor, g.api_key_id = key, key.name, key.id
    if page.scope is not None and page.scope not in key.scopes:
        raise MissingScope(page.scope)


def may_see(page: Page) -> bool:
    """Whether the bar shows it to this reader."""
    if not current_app.config["AUTH"]:
        return True
    return g.get("key") is not None and (page.scope is None or has(page.scope))


def has(scope: Scope) -> bool:
    """Whether this reader may do what needs that scope."""
    key: ApiKey | None = g.get("key")
    return not current_app.config["AUTH"] or (key is not None and scope in key.scopes)


def _current_key() -> ApiKey:
    key_id, now = session.get(KEY_ID), int(time.time())
    if key_id is None:
        raise NotSignedIn
    if now - session.get(LAST_SEEN, 0) > IDLE_SECONDS:
        session.clear()
        raise NotSignedIn(_("You were signed out because you had not used the console for half an hour."))
    try:
        key = key_cache().find(key_id, utc_now())
    except KeyRefused as refusal:
        session.clear()
        raise NotSignedIn(str(REFUSALS[type(refusal)])) from refusal
    if request.headers.get("Sec-Fetch-Dest", "document") == "document":  # a page that updates itself is no use of it
        session[LAST_SEEN] = now
    return key


def show_sign_in() -> ResponseReturnValue:
    if not current_app.config["AUTH"]:
        return redirect(url_for("console.show_overview"))
    return form(status=200)


def form(why: str = "", status: int = 401, go_to: str = "") -> ResponseReturnValue:
    place = go_to or request.values.get("next", "")
    return render_template("console/sign_in.html", why=why, next=place), status


def start_session() -> ResponseReturnValue:
    try:
        key = key_cache().authenticate(request.form.get("key", "").strip(), utc_now())
    except KeyRefused as refusal:
        return form(str(REFUSALS[type(refusal)]))
    session.clear()
    session[KEY_ID], session[LAST_SEEN] = key.id, int(time.time())
    place = request.form.get("next", "")
    return redirect(place if PLACE_TO_GO.fullmatch(place) else url_for("console.show_overview"), 303)


def end_session() -> ResponseReturnValue:
    session.clear()
    return redirect(url_for("console.show_sign_in"), 303)


PAGES = (
    Page(path="/sign-in", view=show_sign_in, open=True),
    Page(path="/sign-in", view=start_session, methods=("POST",), open=True),
    Page(path="/sign-out", view=end_session, methods=("POST",), open=True),
)
