"""The list and the statistics as they were at any time.

An order's summary holds the time of each change of its status, and none of them ever changes, so a past status follows
from the present row; only the version is looked up among the events that this row shows.
"""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from sqlalchemy import ColumnElement, Subquery, case, literal, or_, select, text
from sqlalchemy.orm import Session

from core.event_sourcing.tables import events
from core.orders.order import Status
from core.read_models.header import OrderHeader
from core.read_models.statistics import OrderStatistics
from core.read_models.summary import OrderFilter, PageEnd, list_orders, order_summaries


def list_orders_as_of(
    session: Session, moment: datetime, *, matching: OrderFilter, after: PageEnd | None, limit: int
) -> tuple[list[OrderHeader], PageEnd | None]:
    """What `list_orders` said, or would have said, at that time."""
    rows = _summaries_as_of(moment, Status(matching.status) if matching.status else None)
    return list_orders(session, matching=replace(matching, status=None), after=after, limit=limit, rows=rows)


def _summaries_as_of(moment: datetime, of_status: Status | None) -> Subquery:
    """The rows of the summary as they were, with the same columns."""
    now = order_summaries.c
    then = literal(moment)

    def past(column: ColumnElement[object], changed_at: ColumnElement[datetime]) -> ColumnElement[object]:
        return case((changed_at <= then, column))

    status = case(
        (now.cancelled_at <= then, Status.CANCELLED.value),
        (now.shipped_at <= then, Status.SHIPPED.value),
        (now.confirmed_at <= then, Status.CONFIRMED.value),
        else_=Status.PENDING.value,
    )
    version = (
        select(events.c.version)
        .where(events.c.aggregate_id == now.order_id, events.c.version <= now.version, events.c.occurred_at <= then)
        .order_by(events.c.version.desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(
            now.order_id,
            now.customer_name,
            status.label("status"),
            now.total_amount,
            now.placed_at,
            past(now.confirmed_at, now.confirmed_at).label("confirmed_at"),
            past(now.shipped_at, now.shipped_at).label("shipped_at"),
            past(now.cancelled_at, now.cancelled_at).label("cancelled_at"),
            past(now.tracking_number, now.shipped_at).label("tracking_number"),
            past(now.cancel_reason, now.cancelled_at).label("cancel_reason"),
            version.label("version"),
        )
        .where(now.placed_at <= then, *_had_status(of_status, then))
        .subquery()
    )


def _had_status(status: Status | None, then: ColumnElement[datetime]) -> list[ColumnElement[bool]]:
    """Conditions on bare columns: PostgreSQL cannot tell how many rows a CASE leaves, and would sort them all."""
    now = order_summaries.c

    def not_yet(column: ColumnElement[datetime]) -> ColumnElement[bool]:
        return or_(column.is_(None), column > then)

    match status:
        case None:
            return []
        case Status.PENDING:
            return [not_yet(now.confirmed_at), not_yet(now.cancelled_at)]
        case Status.CONFIRMED:
            return [now.confirmed_at <= then, not_yet(now.shipped_at), not_yet(now.cancelled_at)]
        case Status.SHIPPED:
            return [now.shipped_at <= then]
        case Status.CANCELLED:
            return [now.cancelled_at <= then]
        case _:
            assert_never(status)


# Each count is a range of one index. What was shipped or cancelled stays so, which makes the rest differences.
STATISTICS_AS_OF = text("""
    SELECT
        (SELECT count(*) FROM order_summary_read_models WHERE placed_at <= :moment) AS placed,
        (SELECT count(*) FROM order_summary_read_models WHERE confirmed_at <= :moment) AS once_confirmed,
        shipped.count AS shipped, shipped.revenue,
        cancelled.count AS cancelled, cancelled.once_confirmed AS cancelled_once_confirmed
    FROM
        (SELECT count(*), coalesce(sum(total_amount), 0.00) AS revenue FROM order_summary_read_models
         WHERE shipped_at <= :moment) AS shipped,
        (SELECT count(*), count(confirmed_at) AS once_confirmed FROM order_summary_read_models
         WHERE cancelled_at <= :moment) AS cancelled
""")


def statistics_as_of(session: Session, moment: datetime) -> OrderStatistics:
    found = session.execute(STATISTICS_AS_OF, {"moment": moment}).one()
    return OrderStatistics(
        total_count=found.placed,
        pending_count=found.placed - found.once_confirmed - (found.cancelled - found.cancelled_once_confirmed),
        confirmed_count=found.once_confirmed - found.shipped - found.cancelled_once_confirmed,
        shipped_count=found.shipped,
        cancelled_count=found.cancelled,
        total_revenue=found.revenue,
    )
