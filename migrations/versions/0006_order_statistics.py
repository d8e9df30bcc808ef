"""Counters beside the summary's rows, kept exact by whatever transaction changes a row."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SUMMARIES = "order_summary_read_models"
TABLE = "order_statistics"

COUNT_ORDER = f"""
    CREATE FUNCTION count_order() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP <> 'INSERT' THEN
            INSERT INTO {TABLE} (status, orders, amount) VALUES (OLD.status, -1, -OLD.total_amount);
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO {TABLE} (status, orders, amount) VALUES (NEW.status, 1, NEW.total_amount);
        END IF;
        RETURN NULL;
    END
    $$
"""

# Like TRUNCATE itself, it shows in every snapshot at once, so the two stay equal for whoever looks.
COUNT_NO_ORDER = f"""
    CREATE FUNCTION count_no_order() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        TRUNCATE {TABLE};
        RETURN NULL;
    END
    $$
"""

# Per row, because most changes are of one row: a trigger per statement costs each of them more, and all those most that
# count nothing, as an item that is added.
TRIGGERS = (
    f"CREATE TRIGGER count_whole AFTER INSERT OR DELETE ON {SUMMARIES} FOR EACH ROW EXECUTE FUNCTION count_order()",
    f"""
    CREATE TRIGGER count_changed AFTER UPDATE ON {SUMMARIES} FOR EACH ROW
    WHEN (OLD.status <> NEW.status OR OLD.total_amount <> NEW.total_amount) EXECUTE FUNCTION count_order()
    """,
    f"CREATE TRIGGER count_none AFTER TRUNCATE ON {SUMMARIES} FOR EACH STATEMENT EXECUTE FUNCTION count_no_order()",
)


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("orders", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.Numeric(32, 2), nullable=False),
    )
    # Folding leaves dead rows, which count more here than in a large table.
    op.execute(f"ALTER TABLE {TABLE} SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)")
    # Projections that run meanwhile have ended before the rows are counted, or begin when the triggers are there.
    op.execute(f"LOCK TABLE {SUMMARIES} IN SHARE ROW EXCLUSIVE MODE")
    op.execute(COUNT_ORDER)
    op.execute(COUNT_NO_ORDER)
    for trigger in TRIGGERS:
        op.execute(trigger)
    op.execute(f"INSERT INTO {TABLE} SELECT status, count(*), sum(total_amount) FROM {SUMMARIES} GROUP BY status")


def downgrade() -> None:
    for trigger in ("count_whole", "count_changed", "count_none"):
        op.execute(f"DROP TRIGGER {trigger} ON {SUMMARIES}")
    op.execute("DROP FUNCTION count_order()")
    op.execute("DROP FUNCTION count_no_order()")
    op.drop_table(TABLE)
