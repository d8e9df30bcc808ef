"""The whole log, filtered, and live."""

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext

from core.api_keys import Scope
from webapp.console.page import Page


def show_events() -> ResponseReturnValue:
    return render_template("console/events.html")


PAGES = (Page(path="/events", view=show_events, scope=Scope.EVENTS_READ, title=lazy_gettext("Events")),)
