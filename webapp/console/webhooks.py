"""The webhooks: endpoints, deliveries and attempts."""

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext

from core.api_keys import Scope
from webapp.console.page import Page


def show_webhooks() -> ResponseReturnValue:
    return render_template("console/webhooks.html")


PAGES = (Page(path="/webhooks", view=show_webhooks, scope=Scope.WEBHOOKS_MANAGE, title=lazy_gettext("Webhooks")),)
