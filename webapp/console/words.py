"""The reader's words for states and fields, and how amounts, numbers and times are written."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from babel.numbers import format_currency, format_decimal
from babel.units import format_unit
from flask import current_app
from flask_babel import LazyString, format_datetime, get_locale, lazy_gettext
from markupsafe import Markup

from core.event_sourcing.codec import encode
from core.event_sourcing.event_store import RecordedEvent
from core.operator_actions import Action, Outcome
from core.orders.events import OrderEvent, sentences

STATUS: Mapping[str, LazyString] = {
    "pending": lazy_gettext("pending"),
    "confirmed": lazy_gettext("confirmed"),
    "shipped": lazy_gettext("shipped"),
    "cancelled": lazy_gettext("cancelled"),
}

FIELD: Mapping[str, LazyString] = {
    "order_id": lazy_gettext("Order"),
    "customer_name": lazy_gettext("Customer"),
    "status": lazy_gettext("Status"),
    "total_amount": lazy_gettext("Total amount"),
    "placed_at": lazy_gettext("Placed"),
    "confirmed_at": lazy_gettext("Confirmed"),
    "shipped_at": lazy_gettext("Shipped"),
    "cancelled_at": lazy_gettext("Cancelled"),
    "tracking_number": lazy_gettext("Tracking number"),
    "cancel_reason": lazy_gettext("Reason"),
    "items_total": lazy_gettext("Sum of items"),
}

ACTION: Mapping[Action, LazyString] = {
    Action.RETRY: lazy_gettext("Retried a parked order"),
    Action.RETRY_ALL: lazy_gettext("Let the workers retry all parked orders"),
    Action.VERIFY: lazy_gettext("Verified"),
    Action.DRY_RUN: lazy_gettext("Looked what a rebuild would change"),
    Action.REBUILD: lazy_gettext("Rebuild"),
    Action.CREATE_WEBHOOK: lazy_gettext("Created a webhook"),
    Action.ENABLE_WEBHOOK: lazy_gettext("Enabled a webhook"),
    Action.DISABLE_WEBHOOK: lazy_gettext("Disabled a webhook"),
    Action.ROTATE_SECRET: lazy_gettext("Gave a webhook another secret"),
    Action.REDELIVER: lazy_gettext("Sent an event again"),
    Action.RETRY_WEBHOOK: lazy_gettext("Retried what a webhook had not taken"),
}

OUTCOME: Mapping[Outcome | None, LazyString] = {
    None: lazy_gettext("still going on"),
    Outcome.DONE: lazy_gettext("done"),
    Outcome.PARTLY: lazy_gettext("done, but orders failed"),
    Outcome.DIFFERS: lazy_gettext("differences found"),
    Outcome.FAILED: lazy_gettext("failed"),
    Outcome.CANCELLED: lazy_gettext("cancelled"),
}

UNITS = (
    ("duration-day", timedelta(days=1)),
    ("duration-hour", timedelta(hours=1)),
    ("duration-minute", timedelta(minutes=1)),
    ("duration-second", timedelta(seconds=1)),
    ("duration-millisecond", timedelta(milliseconds=1)),
)


def amount(value: Decimal) -> str:
    """In CURRENCY, in the reader's way. Decimals that are there are shown, even where the currency has none."""
    has_decimals = value != value.to_integral_value()
    currency = current_app.config["CURRENCY"]
    return format_currency(value, currency, locale=get_locale(), currency_digits=not has_decimals)


def money(value: Decimal) -> Markup:
    """The amount, kept in one line."""
    return Markup('<span class="money">{}</span>').format(amount(value))


def number(value: int | Decimal) -> str:
    return format_decimal(value, locale=get_locale())


def moment(value: datetime) -> Markup:
    """In UTC; the module writes it anew in the reader's zone."""
    machine = value.isoformat().replace("+00:00", "Z")
    return Markup('<time datetime="{}">{} UTC</time>').format(machine, format_datetime(value))


def gap(value: timedelta) -> str:
    """The largest unit and the next, such as 2 hr 17 min; below a minute, one alone."""
    left = max(value, timedelta(0))
    first = next((place for place, (_, length) in enumerate(UNITS) if left >= length), len(UNITS) - 1)
    parts: list[str] = []
    for name, length in UNITS[first : first + 2] if left >= timedelta(minutes=1) else UNITS[first : first + 1]:
        count, left = divmod(left, length)
        if count or not parts:
            parts.append(format_unit(count, name, length="short", locale=get_locale()))
    return " ".join(parts)


def seconds(value: float) -> str:
    """The same of a number of seconds."""
    return gap(timedelta(seconds=value))


def told(event: OrderEvent) -> str:
    """The event as a sentence in the reader's language."""
    said: str = getattr(sentences(event, amount), str(get_locale()))
    return said


def as_stored(recorded: RecordedEvent) -> str:
    """The whole event as indented JSON."""
    event_type, schema_version, data = encode(recorded.event)
    whole: dict[str, Any] = {
        "position": recorded.position,
        "order_id": recorded.aggregate_id,
        "version": recorded.version,
        "event_type": event_type,
        "schema_version": schema_version,
        "occurred_at": recorded.occurred_at.isoformat(),
        "data": dict(data),
        "metadata": dict(recorded.metadata),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False)


def status_word(status: str) -> str:
    return str(STATUS.get(status, status))


def field_word(field: str) -> str:
    return str(FIELD.get(field, field))


def action_word(action: Action) -> str:
    return str(ACTION[action])


def outcome_word(outcome: Outcome | None) -> str:
    return str(OUTCOME[outcome])


FILTERS: dict[str, Callable[..., Any]] = {
    "status_word": status_word,
    "field_word": field_word,
    "money": money,
    "number": number,
    "moment": moment,
    "gap": gap,
    "seconds": seconds,
    "action_word": action_word,
    "outcome_word": outcome_word,
    "told": told,
    "as_stored": as_stored,
}
