"""Whether the read side keeps up, in one look: what the bar of every page and the overview say."""

import time
from typing import NamedTuple

from flask import Flask, current_app
from flask_babel import gettext as _

from core.projection.status import OVERDUE, ProjectionStatus, status
from core.read_models.wiring import PROJECTORS
from webapp.console.words import number
from webapp.database import db

EXTENSION = "orderlog-console-read-side"
PROMPT = 2.0  # seconds; nobody worries about an event that is shown within them


class Pill(NamedTuple):
    """`look` is good, warn or bad."""

    look: str
    word: str


class ReadSide:
    """The status, kept for so many seconds: many pages ask for it. Threads that meet here ask twice at worst."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._found: tuple[float, ProjectionStatus] | None = None

    def status(self) -> ProjectionStatus:
        now = time.monotonic()
        if self._found is None or now >= self._found[0]:
            self._found = now + self._seconds, status(db.session(), PROJECTORS)
        return self._found[1]


def init_app(app: Flask) -> None:
    app.extensions[EXTENSION] = ReadSide(app.config["READINESS_SECONDS"])


def now() -> ProjectionStatus:
    kept: ReadSide = current_app.extensions[EXTENSION]
    return kept.status()


def pill() -> Pill:
    projectors = now().projectors.values()
    parked = sum(each.parked_orders for each in projectors)
    behind = max(each.events_behind if each.seconds_behind > PROMPT else 0 for each in projectors)
    silent = any(each.seconds_since_catch_up is None or each.seconds_since_catch_up > OVERDUE for each in projectors)
    if parked:
        return Pill("bad", _("Parked orders: %(number)s", number=number(parked)))
    if behind:
        return Pill("warn", _("Events not yet shown: %(number)s", number=number(behind)))
    if silent:
        return Pill("warn", _("Catch-up is silent"))
    return Pill("good", _("Read side up to date"))
