"""Sums for the console's charts: orders per hour and revenue per day."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None

SUMMARIES = "order_summary_read_models"

COUNTS = {
    "orders_per_hour": f"""
        INSERT INTO orders_per_hour (hour, orders, folded)
        SELECT date_trunc('hour', placed_at, 'UTC'), count(*), true FROM {SUMMARIES} GROUP BY 1
    """,
    "revenue_per_day": f"""
        INSERT INTO revenue_per_day (day, orders, revenue, folded)
        SELECT CAST(shipped_at AT TIME ZONE 'UTC' AS date), count(*), sum(total_amount), true
        FROM {SUMMARIES} WHERE shipped_at IS NOT NULL GROUP BY 1
    """,
}


def upgrade() -> None:
    """Workers of the release before do not count; `flask rebuild` of both counts again once they have ended."""
    _create("orders_per_hour", sa.Column("hour", sa.DateTime(timezone=True), nullable=False), _orders())
    revenue = sa.Column("revenue", sa.Numeric(32, 2), nullable=False)
    _create("revenue_per_day", sa.Column("day", sa.Date, nullable=False), _orders(), revenue)
    for count in COUNTS.values():
        op.execute(count)


def downgrade() -> None:
    for table in COUNTS:
        op.drop_table(table)


def _orders() -> sa.Column[Any]:
    return sa.Column("orders", sa.BigInteger, nullable=False)


def _create(table: str, key: sa.Column[Any], *counted: sa.Column[Any]) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.func.gen_random_uuid()),
        key,
        *counted,
        sa.Column("folded", sa.Boolean, nullable=False),
    )
    op.create_index(f"{table}_key", table, [key.name], unique=True, postgresql_where=sa.text("folded"))
    op.create_index(f"{table}_changes", table, [key.name], postgresql_where=sa.text("NOT folded"))
    # Folding leaves dead rows, which count more here than in a large table.
    op.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)")
