"""The read models: how far each is, rebuilding, verifying, and what is parked."""

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext

from core.api_keys import Scope
from webapp.console.page import Page


def show_read_models() -> ResponseReturnValue:
    return render_template("console/read_models.html")


PAGES = (Page(path="/read-models", view=show_read_models, scope=Scope.ORDERS_READ, title=lazy_gettext("Read models")),)
