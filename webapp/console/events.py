"""The whole log, newest first: filtered, read page by page in both directions, and live."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from core.api_keys import Scope
from core.database import driver_connection
from core.event_sourcing import feed
from core.event_sourcing.codec import EVENT_TYPES
from core.event_sourcing.feed import Cursor, FeedEvent, FeedFilter
from core.orders import values
from core.safe_errors import describe
from webapp.console.page import Page
from webapp.console.reading import Form
from webapp.console.words import as_stored, told
from webapp.database import db

PER_PAGE = 50
PLACES = ("after", "before", "at")  # the parameters that say where in the log a page is


class Shown(NamedTuple):
    """An event as the page tells it."""

    event: FeedEvent
    sentence: str
    stored: str
    is_readable: bool


class Listed(NamedTuple):
    """A page of events; the cursors lead to its neighbours, and are empty where there is none.

    Without events there may be some beyond: a page looks at feed.MOST_LOOKED_AT of the log and no more."""

    events: list[Shown]
    newer: str
    older: str


def show_events() -> ResponseReturnValue:
    form = Form(request.args)
    event_type = form.read("type", _event_type, _("Choose a type of the list."))
    matching = FeedFilter(
        types=(event_type,) if event_type else (),
        order_id=form.read("order", values.order_id, _("Write an order's whole id.")),
        since=form.moment("from"),
        until=form.moment("to"),
        correlation_id=form.read("correlation", _correlation_id, _("Write a correlation id as an event shows it.")),
    )
    advice = _("This link is broken; here are the newest events.")
    older_than, newer_than = (form.read(name, feed.decode, advice) for name in ("after", "before"))
    at = form.moment("at")
    page = Listed([], "", "")
    try:
        if not form.faults.keys() - {"after", "before"}:
            page = _page(matching, older_than, newer_than, at)
    except feed.CursorOfAnotherLog:
        form.faults["after"] = advice
        page = _page(matching, None, None, None)
    filters = {name: value for name, value in form.given.items() if value and name not in (*PLACES, "lang")}
    return render_template("console/events.html", page=page, form=form, filters=filters, types=EVENT_TYPES)


def _page(matching: FeedFilter, older_than: Cursor | None, newer_than: Cursor | None, at: datetime | None) -> Listed:
    """The newest one without any of the three. Raises CursorOfAnotherLog."""
    connection = driver_connection(db.session())
    if newer_than is not None:
        found = feed.read_feed(connection, newer_than, PER_PAGE, matching)
        if not found.at_end:
            oldest = found.events[0].cursor if found.events else newer_than
            return Listed(_shown(found.events[::-1]), feed.encode(found.next_cursor), feed.encode(oldest))
    elif older_than is None and at is not None:
        older_than = feed.first_later(connection, at)
    found = feed.read_back(connection, None if newer_than else older_than, PER_PAGE, matching)
    newer = (found.events[0].cursor if found.events else older_than) if older_than else None
    older = None if found.at_end else found.next_cursor
    return Listed(_shown(found.events), feed.encode(newer) if newer else "", feed.encode(older) if older else "")


def _shown(events: Sequence[FeedEvent]) -> list[Shown]:
    return [_told(event) for event in events]


def _told(event: FeedEvent) -> Shown:
    try:
        recorded = event.recorded
        return Shown(event, told(recorded.event), as_stored(recorded), is_readable=True)
    except Exception as error:  # whatever is wrong with it, people must be able to look at it
        said = _("This release cannot read this event of the type %(type)s.", type=event.event_type)
        return Shown(event, f"{said} {describe(error)}", event.event_data, is_readable=False)


def _event_type(text: str) -> str:
    if text not in EVENT_TYPES:
        raise ValueError("no such type")
    return text


def _correlation_id(text: str) -> str:
    return values.storable("correlation", text)


PAGES = (Page(path="/events", view=show_events, scope=Scope.EVENTS_READ, title=lazy_gettext("Events")),)
