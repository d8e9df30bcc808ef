"""The overview: how many orders there are, and whether the read side and the parts it needs keep up."""

from typing import NamedTuple

from flask import current_app, render_template
from flask.typing import ResponseReturnValue
from flask_babel import LazyString, lazy_gettext

from core.api_keys import Scope
from core.command_handler import utc_now
from core.durability import switched_off
from core.read_models.statistics import statistics
from webapp.console import charts, read_side, sign_in
from webapp.console.page import Page
from webapp.database import db, read_session
from webapp.health.readiness import OK, READINESS, Readiness

DURABILITY = "durability"  # a check that has a line of its own on the page

# By the name of a check: what it looks at, and what it means that it found a fault.
PARTS: dict[str, tuple[LazyString, LazyString]] = {
    "postgresql": (lazy_gettext("Database"), lazy_gettext("Nothing can be read or written until it is back.")),
    "redis": (lazy_gettext("Broker (Redis)"), lazy_gettext("Commands go on. New events are shown a few seconds late.")),
    "rabbitmq": (
        lazy_gettext("Broker (RabbitMQ)"),
        lazy_gettext("Commands go on. New events are shown a few seconds late."),
    ),
    "catch_up": (
        lazy_gettext("Workers and Beat"),
        lazy_gettext("New events are shown late or not at all. See that Beat and a worker run."),
    ),
    "replica": (lazy_gettext("Replica"), lazy_gettext("Pages may show the past.")),
    "rate_limits": (lazy_gettext("Rate limits"), lazy_gettext("Each process counts requests for itself.")),
    "positions": (lazy_gettext("Positions"), lazy_gettext("Commands fail until an operator has set the sequence.")),
    "webhooks": (lazy_gettext("Webhooks"), lazy_gettext("Events wait to be sent to other services.")),
}

# By the setting of PostgreSQL that is off.
LOST: dict[str, LazyString] = {
    "fsync": lazy_gettext("A crash of the machine may lose or damage everything."),
    "full_page_writes": lazy_gettext("A crash of the machine may damage the database."),
    "synchronous_commit": lazy_gettext("A crash may lose commands that were acknowledged."),
}


class Part(NamedTuple):
    """`fault` is what the check says, and empty if all is well."""

    name: LazyString | str
    advice: LazyString | str
    fault: str


def show_overview() -> ResponseReturnValue:
    now, session = utc_now(), read_session()
    may_read = sign_in.has(Scope.ORDERS_READ)
    return render_template(
        "console/overview.html",
        orders=statistics(session) if may_read else None,
        charts=(charts.hours(session, now), charts.days(session, now)) if may_read else (),
        status=read_side.now(),
        prompt=read_side.PROMPT,
        parts=_parts(),
        lost=[(name, LOST[name]) for name in switched_off(db.session())],
    )


def _parts() -> list[Part]:
    readiness: Readiness = current_app.extensions[READINESS]
    found = {name: said for name, said in readiness.checks().items() if name != DURABILITY}
    return [Part(*PARTS.get(name, (name, "")), "" if said == OK else said) for name, said in found.items()]


PAGES = (Page(path="", view=show_overview, title=lazy_gettext("Overview")),)
