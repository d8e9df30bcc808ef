"""The summary of orders: one row each, for lists and for the sums over orders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Index, Select, func, select, text, tuple_
from sqlalchemy.orm import Session

from core.event_sourcing.event_store import RecordedEvent
from core.projection.read_model import ReadModel, Values, order_table
from core.read_models.header import OrderHeader, evolve_header, header_columns, header_values

NAME = "order_summary_read_models"

order_summaries = order_table(
    NAME,
    *header_columns(),
    Index(None, "placed_at", "order_id"),
    Index(None, "status", "placed_at", "order_id"),
    Index(f"{NAME}_normal_name_placed_at_order_id_idx", text("normalize(customer_name)"), "placed_at", "order_id"),
    Index(None, "total_amount"),
    # For the statistics as of a time.
    Index(None, "confirmed_at"),
    Index(None, "shipped_at", postgresql_include=["total_amount"]),
    Index(None, "cancelled_at", "confirmed_at"),
)


class SummaryReadModel(ReadModel[OrderHeader]):
    tables = (order_summaries,)

    def evolve(self, row: OrderHeader | None, recorded: RecordedEvent) -> OrderHeader:
        return evolve_header(OrderHeader, row, recorded)

    def to_tables(self, row: OrderHeader) -> Sequence[Sequence[Values]]:
        return ([header_values(row)],)

    def from_tables(self, stored: Sequence[Sequence[Values]]) -> OrderHeader:
        [[head]] = stored
        return OrderHeader(*head)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """What a listed order must match; what is None does not count. `placed_to` is exclusive."""

    status: str | None = None
    customer_name: str | None = None
    placed_from: datetime | None = None
    placed_to: datetime | None = None
    min_total_amount: Decimal | None = None
    max_total_amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PageEnd:
    """Where a page of the list ended: the last order shown on it. Or where it began: the first."""

    placed_at: datetime
    order_id: str


def list_orders(
    session: Session,
    *,
    matching: OrderFilter,
    after: PageEnd | None,
    limit: int,
    rows: FromClause = order_summaries,
) -> tuple[list[OrderHeader], PageEnd | None]:
    """One page, newest placed first, and where it ends if more orders follow; of these rows."""
    query = select(rows).where(*_conditions(rows, matching))
    if after is not None:
        query = query.where(tuple_(rows.c.placed_at, rows.c.order_id) < tuple_(after.placed_at, after.order_id))
    query = query.order_by(rows.c.placed_at.desc(), rows.c.order_id.desc()).limit(limit + 1)
    return _page(session, query, limit)


def list_orders_before(
    session: Session, *, matching: OrderFilter, before: PageEnd, limit: int
) -> tuple[list[OrderHeader], PageEnd | None]:
    """The page that ends just before this order, newest placed first, and where it begins if more orders precede."""
    rows = order_summaries
    query = select(rows).where(*_conditions(rows, matching))
    query = query.where(tuple_(rows.c.placed_at, rows.c.order_id) > tuple_(before.placed_at, before.order_id))
    query = query.order_by(rows.c.placed_at, rows.c.order_id).limit(limit + 1)
    page, begin = _page(session, query, limit)
    return page[::-1], begin


def _page(session: Session, query: Select[Any], limit: int) -> tuple[list[OrderHeader], PageEnd | None]:
    found = [OrderHeader(*row) for row in session.execute(query)]
    page = found[:limit]
    return page, PageEnd(page[-1].placed_at, page[-1].order_id) if len(found) > limit else None


def _conditions(rows: FromClause, matching: OrderFilter) -> Iterator[ColumnElement[bool]]:
    if matching.status is not None:
        yield rows.c.status == matching.status
    if matching.customer_name is not None:
        # In NFC, in which composed and decomposed characters are the same.
        yield func.normalize(rows.c.customer_name) == func.normalize(matching.customer_name)
    if matching.placed_from is not None:
        yield rows.c.placed_at >= matching.placed_from
    if matching.placed_to is not None:
        yield rows.c.placed_at < matching.placed_to
    if matching.min_total_amount is not None:
        yield rows.c.total_amount >= matching.min_total_amount
    if matching.max_total_amount is not None:
        yield rows.c.total_amount <= matching.max_total_amount
