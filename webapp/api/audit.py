"""An order's past: every event with what it changed, and the difference between two versions."""

from dataclasses import asdict
from decimal import Decimal
from typing import Annotated

from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field, PlainValidator

from core.api_keys import Scope
from core.orders.errors import InvalidValue
from core.read_models.history import audit_trail, difference
from webapp.api import fields
from webapp.api.fields import Strict, described
from webapp.api.operation import Answer, Operation
from webapp.api.queries import EXAMPLE_ITEM, OrderItemAnswer
from webapp.api.requests import read_query
from webapp.database import db
from webapp.problems import catalogue as problems


class FieldChange(BaseModel):
    """A field of the details before and after; null is for what was or is not there."""

    field: str
    before: str | fields.Sum | OrderItemAnswer | None
    after: str | fields.Sum | OrderItemAnswer | None


# The events of an order.


def _version_of_page(text: str) -> int:
    """A page ends at a version, which is its cursor."""
    try:
        return fields.counted(text)
    except InvalidValue as error:
        raise InvalidValue("cursor", "must be the next_cursor of an earlier answer") from error


def _version_or_none(text: str) -> int:
    return 0 if text == "0" else fields.counted(text)


class EventsQuery(Strict):
    limit: fields.PageSize = fields.MOST_PER_PAGE
    cursor: Annotated[
        int | None,
        PlainValidator(_version_of_page),
        described(fields.COUNT_AS_TEXT, "The `next_cursor` of the page before.", "2"),
    ] = None
    after: Annotated[
        int,
        PlainValidator(_version_or_none),
        described({"type": "integer", "minimum": 0, "maximum": fields.LARGEST_COUNT}, "Only later versions.", 2),
    ] = 0


class AuditEntryAnswer(BaseModel):
    """One event: who did what, when, and what it changed."""

    version: fields.Version
    position: fields.Position
    event_type: str
    occurred_at: fields.Time
    actor: str | None
    correlation_id: str | None
    causation_id: str | None
    sentence: str
    changes: list[FieldChange]


class AuditTrail(BaseModel):
    """The events of the order, oldest first; `next_cursor` is null on the last page."""

    order_id: fields.OrderId
    events: list[AuditEntryAnswer]
    next_cursor: str | None


def show_events(order_id: str) -> ResponseReturnValue:
    query = read_query(EventsQuery)
    entries, end = audit_trail(db.session(), order_id, after=max(query.after, query.cursor or 0), limit=query.limit)
    return {
        "order_id": order_id,
        "events": [asdict(entry) for entry in entries],
        "next_cursor": None if end is None else str(end),
    }


# Two of its versions.


class DiffQuery(Strict):
    from_version: Annotated[fields.Counted, Field(alias="from")]
    to_version: Annotated[fields.Counted, Field(alias="to")]


class OrderDiff(BaseModel):
    """What changed between two versions."""

    order_id: fields.OrderId
    from_version: fields.Version
    to_version: fields.Version
    changes: list[FieldChange]


def show_diff(order_id: str) -> ResponseReturnValue:
    query = read_query(DiffQuery)
    changes = difference(db.session(), order_id, query.from_version, query.to_version)
    return {
        "order_id": order_id,
        "from_version": query.from_version,
        "to_version": query.to_version,
        "changes": [asdict(change) for change in changes],
    }


EXAMPLE_CHANGES = [
    {"field": "items_total", "before": Decimal("0.00"), "after": Decimal("80000.00")},
    {"field": "items/0", "before": None, "after": EXAMPLE_ITEM},
]
PAST_PROBLEMS = (problems.ORDER_NOT_FOUND, problems.EVENT_UNKNOWN)

OPERATIONS = (
    Operation(
        path="/orders/{order_id}/events",
        in_path=fields.ORDER_ID_IN_PATH,
        view=show_events,
        scope=Scope.ORDERS_READ,
        summary="Show an order's past, event by event",
        description="Oldest first.",
        query=EventsQuery,
        answers=(
            Answer(
                description="The audit trail.",
                model=AuditTrail,
                example={
                    "order_id": fields.EXAMPLE_ORDER_ID,
                    "events": [
                        {
                            "version": 2,
                            "position": 42,
                            "event_type": "OrderItemAdded",
                            "occurred_at": "2026-01-31T09:01:00Z",
                            "actor": "shop",
                            "correlation_id": "0b8f2a3c-shop-17",
                            "causation_id": "019a5e3d-1556-7d02-a5f6-5f4a0c1c9b7d",
                            "sentence": "1 x ノートPC at 80,000.00 added.",
                            "changes": EXAMPLE_CHANGES,
                        }
                    ],
                    "next_cursor": None,
                },
            ),
        ),
        problems=PAST_PROBLEMS,
    ),
    Operation(
        path="/orders/{order_id}/diff",
        in_path=fields.ORDER_ID_IN_PATH,
        view=show_diff,
        scope=Scope.ORDERS_READ,
        summary="Show what changed between two versions",
        query=DiffQuery,
        answers=(
            Answer(
                description="The changes.",
                model=OrderDiff,
                example={
                    "order_id": fields.EXAMPLE_ORDER_ID,
                    "from_version": 1,
                    "to_version": 2,
                    "changes": EXAMPLE_CHANGES,
                },
            ),
        ),
        problems=(*PAST_PROBLEMS, problems.NO_SUCH_VERSION),
        link={"query.from": 1, "query.to": "$response.body#/version"},
    ),
)
