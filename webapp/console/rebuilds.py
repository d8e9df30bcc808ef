"""Rebuilding a read model: a dry run, a confirmation that is typed, and then the workers do it."""

from flask import g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from core.api_keys import Scope
from core.operator_actions import Action
from core.projection import rebuild_requests
from webapp.console.page import Page
from webapp.console.read_models import compare, named, shown
from webapp.console.reading import Form
from webapp.database import sessions
from worker.rebuilding import hint


def show_dry_run() -> ResponseReturnValue:
    [(name, model)] = named().items()
    return shown(sample=compare(Action.DRY_RUN, name, model), compared=name, confirm=Form({}))


def ask_for_rebuild() -> ResponseReturnValue:
    [(name, _model)] = named().items()
    form = Form(request.form)
    if form.given.get("confirm", "").strip() != name:
        form.faults["confirm"] = _("Type the read model's name: %(name)s.", name=name)
        return shown(compared=name, confirm=form), 422
    with sessions().begin() as session:
        rebuild_requests.ask(session, g.actor, name)  # one that waits already is hinted at again
    hint(name)
    return redirect(url_for("console.show_read_models"), 303)


def cancel_rebuild() -> ResponseReturnValue:
    [(name, _model)] = named().items()
    with sessions().begin() as session:
        rebuild_requests.cancel(session, name)
    return redirect(url_for("console.show_read_models"), 303)


PAGES = (
    Page(path="/read-models/dry-run", view=show_dry_run, methods=("POST",), scope=Scope.CONSOLE_OPERATE),
    Page(path="/read-models/rebuild", view=ask_for_rebuild, methods=("POST",), scope=Scope.CONSOLE_OPERATE),
    Page(path="/read-models/cancel", view=cancel_rebuild, methods=("POST",), scope=Scope.CONSOLE_OPERATE),
)
