"""The read models: how far each is, what is parked, and whether rows are what their events say."""

from collections.abc import Mapping
from typing import Any

from flask import current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext
from werkzeug.exceptions import NotFound

from core.api_keys import Scope
from core.operator_actions import Action, Outcome, last_rebuilds
from core.projection.parking import let_catch_up_retry, parked_orders, retry_now
from core.projection.read_model import ReadModel
from core.projection.rebuild_requests import unfinished
from core.projection.sampling import Sample, verify_sample
from core.projection.status import OVERDUE, status
from core.read_models.wiring import PROJECTORS
from core.safe_errors import describe
from webapp.console import operators
from webapp.console.page import Page
from webapp.console.sign_in import has
from webapp.database import db, sessions

MOST_PARKED = 50  # that are shown; likewise differences
MOST_DIFFERENCES = 50
SECONDS = 1.0  # that a comparison takes; its last range comes on top


def show_read_models() -> ResponseReturnValue:
    return shown()


def shown(**more: Any) -> str:
    """The page; `more` is what a comparison has found, for read_models_compared.html."""
    session = db.session()
    return render_template(
        "console/read_models.html",
        status=status(session, PROJECTORS),
        overdue=OVERDUE,
        parked=parked_orders(session, list(PROJECTORS), MOST_PARKED),
        rebuilds=unfinished(session),
        last_rebuilds=last_rebuilds(session),
        may_operate=has(Scope.CONSOLE_OPERATE),
        most=MOST_DIFFERENCES,
        **operators.shown(operators.ON_READ_MODELS),
        **more,
    )


def named() -> Mapping[str, ReadModel[Any]]:
    """The read model that a form names. Raises NotFound."""
    name = request.form.get("name", "")
    if name not in PROJECTORS:
        raise NotFound
    return {name: PROJECTORS[name]}


def retry_parked() -> ResponseReturnValue:
    """One order, at once."""
    [(name, model)] = named().items()
    order_id = request.form.get("order_id", "")
    projected = retry_now(sessions(), name, model, [order_id], current_app.config["PATIENCE"])
    failure = projected.failures.get(order_id)
    outcome, done = (Outcome.FAILED, 0) if failure else (Outcome.DONE, 1)
    error = describe(failure.error) if failure else None
    action = operators.record_now(Action.RETRY, f"{name}: {order_id}", outcome, done=done, total=1, error=error)
    return redirect(operators.back("console.show_read_models", action), 303)


def retry_all_parked() -> ResponseReturnValue:
    """There may be very many, so the workers do it."""
    with sessions().begin() as session:
        orders = let_catch_up_retry(session, list(PROJECTORS))
        action = operators.record(session, Action.RETRY_ALL, ", ".join(PROJECTORS), total=orders)
    return redirect(operators.back("console.show_read_models", action), 303)


def verify_read_model() -> ResponseReturnValue:
    [(name, model)] = named().items()
    return shown(sample=compare(Action.VERIFY, name, model), compared=name)


def compare(action: Action, name: str, model: ReadModel[Any]) -> Sample:
    """A sample of it with the events, for a dry run as a rebuild would make it; records the action."""
    sample = verify_sample(sessions(), {name: model}, seconds=SECONDS, to_the_end=action is Action.DRY_RUN)
    found = sample.found
    outcome = Outcome.DIFFERS if found.differences or found.broken else Outcome.DONE
    wrong = len(found.drifted.get(name, ()))
    operators.record_now(action, name, outcome, done=max(0, found.rows - wrong), total=found.rows)
    return sample


PAGES = (
    Page(path="/read-models", view=show_read_models, scope=Scope.ORDERS_READ, title=lazy_gettext("Read models")),
    Page(path="/read-models/retry", view=retry_parked, methods=("POST",), scope=Scope.CONSOLE_OPERATE),
    Page(path="/read-models/retry-all", view=retry_all_parked, methods=("POST",), scope=Scope.CONSOLE_OPERATE),
    Page(path="/read-models/verify", view=verify_read_model, methods=("POST",), scope=Scope.CONSOLE_OPERATE),
)
