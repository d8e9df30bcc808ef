"""One order: its events as a story, and its details as of any version."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from flask import render_template, request
from flask.typing import ResponseReturnValue

from core.api_keys import Scope
from core.event_sourcing.event_store import RecordedEvent
from core.orders.errors import InvalidValue
from core.read_models.details import find_details
from core.read_models.header import header_fields
from core.read_models.history import NoSuchVersion, Told, details_after, story
from webapp.api.fields import counted
from webapp.console.page import Page
from webapp.database import db, read_session


class Step(NamedTuple):
    """An event of the timeline, and the time since the one before."""

    recorded: RecordedEvent
    gap: timedelta | None
    is_now: bool
    is_later: bool
    is_shown: bool


def show_order(order_id: str) -> ResponseReturnValue:
    whole = story(db.session(), order_id)
    version = _version(order_id, len(whole))
    shown = find_details(read_session(), order_id)
    details = details_after(whole[:version])
    return render_template(
        "console/order.html",
        details=details,
        fields={name: value for name, value in header_fields(details).items() if value is not None},
        changes={change.field: change for change in whole[version - 1].changes if version > 1},
        steps=_steps(whole, version, shown.version if shown else 0),
        now=whole[version - 1].recorded,
        latest=len(whole),
    )


def _version(order_id: str, latest: int) -> int:
    """What the slider says, the latest without it. Raises NoSuchVersion."""
    try:
        version = counted(request.args.get("version") or str(latest))
    except InvalidValue as error:
        raise NoSuchVersion(order_id, 0, latest) from error
    if version > latest:
        raise NoSuchVersion(order_id, version, latest)
    return version


def _steps(whole: Sequence[Told], version: int, shown: int) -> list[Step]:
    steps, before = list[Step](), None
    for recorded, _ in whole:
        gap = recorded.occurred_at - before if before else None
        number, before = recorded.version, recorded.occurred_at
        steps.append(Step(recorded, gap, number == version, number > version, number <= shown))
    return steps


PAGES = (Page(path="/orders/<order_id:order_id>", view=show_order, scope=Scope.ORDERS_READ),)
