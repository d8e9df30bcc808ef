"""The webhooks: which there are, and a form for another."""

from flask import current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from core.api_keys import Scope
from core.event_sourcing.codec import EVENT_TYPES
from core.operator_actions import Action
from core.orders import values
from core.webhooks import endpoints
from core.webhooks.sending import receiver_url
from webapp.console import operators, webhook
from webapp.console.page import Page
from webapp.console.reading import Form
from webapp.database import db, sessions


def show_webhooks() -> ResponseReturnValue:
    return _shown(Form({}))


def _shown(form: Form) -> str:
    return render_template(
        "console/webhooks.html",
        webhooks=endpoints.list_webhooks(db.session()),
        form=form,
        types=EVENT_TYPES,
        chosen=request.form.getlist("types"),
        **operators.shown(operators.ON_WEBHOOKS),
    )


def create_webhook() -> ResponseReturnValue:
    """Its page, with the secret, which is shown only now."""
    form = Form(request.form)
    advice = _("Write a URL such as https://shop.example/hooks, which must be on the public internet.")
    if not form.given.get("url", "").strip():
        form.faults["url"] = advice
    url = form.read("url", lambda text: receiver_url(text, development=not current_app.config["AUTH"]), advice)
    description = form.read("description", values.reason, _("Write fewer words, without control characters."))
    types = [each for each in request.form.getlist("types") if each in EVENT_TYPES]
    if url is None or form.faults:
        return _shown(form), 422
    try:
        with sessions().begin() as session:
            created = endpoints.create(session, url, description or "", types, enabled=True)
            operators.record(session, Action.CREATE_WEBHOOK, created["id"])
    except endpoints.TooManyWebhooks:
        form.faults["url"] = _("There are as many webhooks as there may be.")
        return _shown(form), 422
    return webhook.shown(created["id"], secret=created["secret"]), 201


PAGES = (
    Page(path="/webhooks", view=show_webhooks, scope=Scope.WEBHOOKS_MANAGE, title=lazy_gettext("Webhooks")),
    Page(path="/webhooks", view=create_webhook, methods=("POST",), scope=Scope.WEBHOOKS_MANAGE),
    *webhook.PAGES,
)
