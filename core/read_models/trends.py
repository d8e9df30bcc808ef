"""Orders per hour, by when they were placed, and revenue per day, by when they were shipped; both in UTC."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, Column, Date, DateTime, Numeric
from sqlalchemy.orm import Session

from core.projection.read_model import Sums
from core.projection.sums import since
from core.read_models.summary import order_summaries

ORDERS_PER_HOUR = Sums(
    "orders_per_hour",
    of=order_summaries,
    key=[Column("hour", DateTime(timezone=True), nullable=False)],
    counted=[Column("orders", BigInteger, nullable=False)],
    select="SELECT date_trunc('hour', placed_at, 'UTC') AS hour, count(*) AS orders FROM {rows} GROUP BY hour",
)

REVENUE_PER_DAY = Sums(
    "revenue_per_day",
    of=order_summaries,
    key=[Column("day", Date, nullable=False)],
    counted=[Column("orders", BigInteger, nullable=False), Column("revenue", Numeric(32, 2), nullable=False)],
    select="""
        SELECT CAST(shipped_at AT TIME ZONE 'UTC' AS date) AS day, count(*) AS orders, sum(total_amount) AS revenue
        FROM {rows} WHERE shipped_at IS NOT NULL GROUP BY day
    """,
)


def orders_per_hour(session: Session, first: datetime) -> Mapping[datetime, int]:
    """By the beginning of the hour, from this hour on; an hour without orders is left out."""
    return {row.hour: row.orders for row in since(session, ORDERS_PER_HOUR, first)}


def revenue_per_day(session: Session, first: date) -> Mapping[date, Decimal]:
    """From this day on; a day on which nothing was shipped is left out."""
    return {row.day: row.revenue for row in since(session, REVENUE_PER_DAY, first)}
