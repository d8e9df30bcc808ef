"""The charts of the overview: bars, each with its words for the table behind them."""

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from flask_babel import format_date
from flask_babel import gettext as _
from markupsafe import Markup
from sqlalchemy.orm import Session

from core.read_models.trends import orders_per_hour, revenue_per_day
from webapp.console.words import moment, money, number

HOURS = 24
DAYS = 30


class Bar(NamedTuple):
    """`height` is in percent of the highest bar."""

    when: Markup
    written: Markup
    height: float


class Chart(NamedTuple):
    """`first` and `last` stand below its ends; `most` is the highest bar's value, empty if all are 0."""

    id: str
    title: str
    column: str
    bars: list[Bar]
    first: str
    last: str
    most: Markup


def hours(session: Session, now: datetime) -> Chart:
    last = now.replace(minute=0, second=0, microsecond=0)
    of_hours = [last - timedelta(hours=back) for back in reversed(range(HOURS))]
    found = orders_per_hour(session, of_hours[0])
    bars, most = _bars([(moment(hour), found.get(hour, 0)) for hour in of_hours], number)
    first = _("%(number)s hours ago", number=HOURS - 1)
    return Chart("hours", _("Orders per hour"), _("Hour from"), bars, first, _("now"), most)


def days(session: Session, now: datetime) -> Chart:
    of_days = [now.date() - timedelta(days=back) for back in reversed(range(DAYS))]
    found = revenue_per_day(session, of_days[0])
    bars, most = _bars([(_day(day), found.get(day, 0)) for day in of_days], money)
    first = _("%(number)s days ago", number=DAYS - 1)
    return Chart("days", _("Revenue per day"), _("Day (UTC)"), bars, first, _("today"), most)


def _day(day: date) -> Markup:
    return Markup('<span class="money">{}</span>').format(format_date(day))


def _bars(
    values: Iterable[tuple[Markup, int | Decimal]], write: Callable[[Decimal], str | Markup]
) -> tuple[list[Bar], Markup]:
    found = [(when, Decimal(value)) for when, value in values]
    most = max(value for _when, value in found)
    bars = [
        Bar(when, Markup.escape(write(value)), round(float(100 * value / most), 1) if most else 0.0)
        for when, value in found
    ]
    return bars, Markup.escape(write(most)) if most else Markup()
