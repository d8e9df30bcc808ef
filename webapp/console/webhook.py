"""One webhook: what it has not taken, what was tried, and what an operator can do about it."""

import re
from typing import Any
from uuid import UUID

from flask import redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.exceptions import NotFound

from core.api_keys import Scope
from core.operator_actions import Action
from core.orders import values
from core.orders.errors import InvalidValue
from core.webhooks import endpoints
from webapp.api.fields import counted
from webapp.console import operators
from webapp.console.page import Page
from webapp.console.reading import Form
from webapp.database import db, sessions

PER_PAGE = 50
MOST_FAILING = 50


def show_webhook(webhook_id: UUID) -> ResponseReturnValue:
    return shown(str(webhook_id))


def shown(webhook_id: str, secret: str | None = None) -> str:
    """Raises WebhookNotFound."""
    session, form = db.session(), Form(request.args)
    before = form.read("after", UUID, _("This link is broken; here is the first page."))
    deliveries = endpoints.deliveries(session, webhook_id, before=before, limit=PER_PAGE + 1)
    return render_template(
        "console/webhook.html",
        webhook=endpoints.find(session, webhook_id),
        secret=secret,
        failing=endpoints.failing_orders(session, webhook_id, MOST_FAILING),
        deliveries=deliveries[:PER_PAGE],
        older=deliveries[PER_PAGE - 1]["id"] if len(deliveries) > PER_PAGE else None,
        is_first_page=before is None,
        fault=form.faults.get("after"),
        **operators.shown(operators.ON_WEBHOOKS),
    )


def enable_webhook(webhook_id: UUID) -> ResponseReturnValue:
    return _switch(webhook_id, Action.ENABLE_WEBHOOK, enabled=True)


def disable_webhook(webhook_id: UUID) -> ResponseReturnValue:
    return _switch(webhook_id, Action.DISABLE_WEBHOOK, enabled=False)


def _switch(webhook_id: UUID, action: Action, *, enabled: bool) -> ResponseReturnValue:
    with sessions().begin() as session:
        endpoints.change(session, str(webhook_id), {"enabled": enabled})
        action_id = operators.record(session, action, str(webhook_id))
    return _back(webhook_id, action_id)


def rotate_secret(webhook_id: UUID) -> ResponseReturnValue:
    """Its page, with the secret, which is shown only now."""
    with sessions().begin() as session:
        rotated = endpoints.rotate(session, str(webhook_id))
        operators.record(session, Action.ROTATE_SECRET, str(webhook_id))
    return shown(str(webhook_id), secret=rotated["secret"])


def redeliver_event(webhook_id: UUID) -> ResponseReturnValue:
    order_id, version = request.form.get("order_id", ""), _version(request.form.get("version", ""))
    if not re.fullmatch(values.ORDER_ID, order_id):
        raise NotFound
    with sessions().begin() as session:
        endpoints.redeliver(session, str(webhook_id), order_id, version)
        action_id = operators.record(session, Action.REDELIVER, f"{webhook_id}: {order_id}/{version}")
    return _back(webhook_id, action_id)


def _version(text: str) -> int:
    """Raises NotFound."""
    try:
        return counted(text)
    except InvalidValue as error:
        raise NotFound from error


def retry_webhook(webhook_id: UUID) -> ResponseReturnValue:
    with sessions().begin() as session:
        orders = endpoints.retry(session, str(webhook_id))
        action_id = operators.record(session, Action.RETRY_WEBHOOK, str(webhook_id), total=orders)
    return _back(webhook_id, action_id)


def _back(webhook_id: UUID, action_id: UUID) -> ResponseReturnValue:
    return redirect(operators.back("console.show_webhook", action_id, webhook_id=webhook_id), 303)


def _page(path: str, view: Any, *methods: str) -> Page:
    return Page(path=f"/webhooks/<uuid:webhook_id>{path}", view=view, methods=methods, scope=Scope.WEBHOOKS_MANAGE)


PAGES = (
    _page("", show_webhook, "GET"),
    _page("/enable", enable_webhook, "POST"),
    _page("/disable", disable_webhook, "POST"),
    _page("/rotate", rotate_secret, "POST"),
    _page("/redeliver", redeliver_event, "POST"),
    _page("/retry", retry_webhook, "POST"),
)
