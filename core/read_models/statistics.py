"""The statistics of all orders, from counters that triggers keep exact (migration 0006).

`order_statistics` holds signed changes, so that transactions only add rows and never wait for one another; a status has
the sums of its rows. Catch-up folds them into one row per status.
"""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import BigInteger, Column, Numeric, Table, Text, text
from sqlalchemy.orm import Session

from core.database import metadata
from core.orders.order import Status
from core.projection.counters import CounterDifference

order_statistics = Table(
    "order_statistics",
    metadata,
    Column("status", Text, nullable=False),
    Column("orders", BigInteger, nullable=False),
    Column("amount", Numeric(32, 2), nullable=False),
)

READ = text("""
    SELECT status, CAST(sum(orders) AS bigint) AS orders, sum(amount) AS amount FROM order_statistics GROUP BY status
""")

# A row only if there is something to fold; it says whether the lock was free.
TRY_TO_FOLD = text("""
    SELECT pg_try_advisory_xact_lock(hashtext('orderlog.order_statistics'))
    FROM (SELECT FROM order_statistics OFFSET :few LIMIT 1) AS more
""")

FOLD = text("""
    WITH folded AS (DELETE FROM order_statistics RETURNING status, orders, amount)
    INSERT INTO order_statistics (status, orders, amount)
    SELECT status, sum(orders), sum(amount) FROM folded GROUP BY status HAVING sum(orders) <> 0 OR sum(amount) <> 0
""")

# Folding has to stand still: changes that it has moved into new rows would be counted again.
BE_ALONE = text("SELECT pg_advisory_xact_lock(hashtext('orderlog.order_statistics'))")

# One statement, hence one snapshot: changes of transactions that it does not see stay, as their rows are not counted.
RECOUNT = text("""
    WITH old AS (DELETE FROM order_statistics)
    INSERT INTO order_statistics (status, orders, amount)
    SELECT status, count(*), sum(total_amount) FROM order_summary_read_models GROUP BY status
""")

COMPARE = text("""
    SELECT coalesce(stored.orders, 0) AS orders, coalesce(counted.orders, 0) AS orders_counted,
           coalesce(stored.amount, 0) AS amount, coalesce(counted.amount, 0) AS amount_counted, status
    FROM (SELECT status, CAST(sum(orders) AS bigint) AS orders, sum(amount) AS amount
          FROM order_statistics GROUP BY status) AS stored
    FULL JOIN (SELECT status, count(*) AS orders, sum(total_amount) AS amount
               FROM order_summary_read_models GROUP BY status) AS counted USING (status)
    ORDER BY status
""")


class OrderCounters:
    few = 100  # changes that are not worth folding

    def fold(self, session: Session) -> None:
        if session.execute(TRY_TO_FOLD, {"few": self.few}).scalar():
            session.execute(FOLD)

    def recount(self, session: Session) -> None:
        session.execute(BE_ALONE)
        session.execute(RECOUNT)

    def differences(self, session: Session) -> list[CounterDifference]:
        compared = [
            CounterDifference("summary", f"{kind} of {row.status} orders", stored, counted)
            for row in session.execute(COMPARE)
            for kind, stored, counted in (
                ("number", row.orders, row.orders_counted),
                ("amount", row.amount, row.amount_counted),
            )
        ]
        return [each for each in compared if each.stored != each.counted]


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
    by_status = {row.status: (row.orders, row.amount) for row in session.execute(READ)}
    counts = {status: by_status.get(status.value, (0, None))[0] for status in Status}
    return OrderStatistics(
        total_count=sum(counts.values()),
        pending_count=counts[Status.PENDING],
        confirmed_count=counts[Status.CONFIRMED],
        shipped_count=counts[Status.SHIPPED],
        cancelled_count=counts[Status.CANCELLED],
        total_revenue=by_status.get(Status.SHIPPED.value, (0, Decimal("0.00")))[1],
    )
