"""The statistics of all orders: how many there are in each state, and the revenue of the shipped ones."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import BigInteger, Column, Numeric, Text
from sqlalchemy.orm import Session

from core.orders.order import Status
from core.projection.read_model import Sums
from core.projection.sums import by_key
from core.read_models.summary import order_summaries

ORDERS_BY_STATUS = Sums(
    "order_statistics",
    of=order_summaries,
    key=[Column("status", Text, nullable=False)],
    counted=[Column("orders", BigInteger, nullable=False), Column("amount", Numeric(32, 2), nullable=False)],
    select="SELECT status, count(*) AS orders, sum(total_amount) AS amount FROM {rows} GROUP BY status",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStatistics:
    """`total_revenue` is the sum of the total amounts of shipped orders."""

    total_count: int
    pending_count: int
    confirmed_count: int
    shipped_count: int
    cancelled_count: int
    total_revenue: Decimal


def statistics(session: Session) -> OrderStatistics:
    found = by_key(session, ORDERS_BY_STATUS)
    counts = {status: found[status.value,].orders if (status.value,) in found else 0 for status in Status}
    shipped = found.get((Status.SHIPPED.value,))
    return OrderStatistics(
        total_count=sum(counts.values()),
        pending_count=counts[Status.PENDING],
        confirmed_count=counts[Status.CONFIRMED],
        shipped_count=counts[Status.SHIPPED],
        cancelled_count=counts[Status.CANCELLED],
        total_revenue=shipped.amount if shipped else Decimal("0.00"),
    )
