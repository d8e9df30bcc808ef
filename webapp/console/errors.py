"""What a reader sees instead of a page: an error, in one sentence and with what to do."""

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import NotFound

from core.orders.errors import OrderNotFound
from core.read_models.history import NoSuchVersion
from webapp.console import sign_in
from webapp.console.page import Page
from webapp.gate.auth import MissingScope
from webapp.problems.error_handlers import problem_of

# By the status of the problem that the error is; another one is told as 500 is.
SENTENCES = {
    400: (lazy_gettext("The request cannot be read"), lazy_gettext("Go back and try again.")),
    403: (
        lazy_gettext("Not from here"),
        lazy_gettext("This service asks for no keys, and so answers only browsers on its own machine."),
    ),
    404: (lazy_gettext("Nothing here"), lazy_gettext("There is no page with this address.")),
    405: (lazy_gettext("Nothing here"), lazy_gettext("There is no page with this address.")),
    429: (lazy_gettext("Too many requests"), lazy_gettext("Wait a minute, then try again.")),
    500: (
        lazy_gettext("Something went wrong"),
        lazy_gettext("The log of the service says more. Its operators find the line by the request's id."),
    ),
    503: (
        lazy_gettext("The service cannot answer now"),
        lazy_gettext("Its database is away or busy. Try again in a few seconds."),
    ),
}


def show(error: Exception) -> ResponseReturnValue:
    """The page of this error. Without a good key, the form to sign in, which leads back."""
    match error:
        case sign_in.NotSignedIn():
            here = request.full_path.rstrip("?") if request.method == "GET" else ""
            return sign_in.form(error.why, 401, go_to=here)
        case sign_in.ConsoleClosed():
            advice = _("Set SECRET_KEY to 32 random characters or more and start the service again.")
            return _page(503, _("The console is closed"), advice)
        case MissingScope():
            advice = _("Your key has not the scope %(scope)s, which this page needs.", scope=error.needed)
            return _page(403, _("Your key is not for this"), advice)
        case CSRFError():
            return _page(400, _("The form is too old"), _("Go back, load the page again and send the form once more."))
        case OrderNotFound():
            return _page(404, _("No such order"), _("There is no order with this id."))
        case NoSuchVersion():
            advice = _("The order's latest version is %(latest)s.", latest=error.latest)
            return _page(404, _("No such version"), advice)
    problem = problem_of(error)
    status = problem.status if problem.status in SENTENCES else 500
    title, advice = SENTENCES[status]
    text, _status = _page(problem.status, str(title), str(advice))
    return text, problem.status, dict(problem.headers(error))


def _page(status: int, title: str, advice: str) -> tuple[str, int]:
    return render_template("console/error.html", title=title, advice=advice), status


def show_nothing(path: str) -> ResponseReturnValue:
    """Raises NotFound: no page has this path."""
    raise NotFound


def lead_to_overview() -> ResponseReturnValue:
    return redirect(url_for("console.show_overview"))


PAGES = (
    Page(path="/", view=lead_to_overview, open=True),
    Page(path="/<path:path>", view=show_nothing, methods=("GET", "POST"), open=True),
)
