"""Sums are kept by the writer, not by triggers, and folded key by key; checkpoints no longer meter a rate."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SUMMARIES = "order_summary_read_models"
TABLE = "order_statistics"

COUNT = "SELECT status, count(*), sum(total_amount){folded} FROM order_summary_read_models GROUP BY status"

# As migration 0006 made them.
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
COUNT_NO_ORDER = f"""
    CREATE FUNCTION count_no_order() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        TRUNCATE {TABLE};
        RETURN NULL;
    END
    $$
"""
TRIGGERS = (
    f"CREATE TRIGGER count_whole AFTER INSERT OR DELETE ON {SUMMARIES} FOR EACH ROW EXECUTE FUNCTION count_order()",
    f"""
    CREATE TRIGGER count_changed AFTER UPDATE ON {SUMMARIES} FOR EACH ROW
    WHEN (OLD.status <> NEW.status OR OLD.total_amount <> NEW.total_amount) EXECUTE FUNCTION count_order()
    """,
    f"CREATE TRIGGER count_none AFTER TRUNCATE ON {SUMMARIES} FOR EACH STATEMENT EXECUTE FUNCTION count_no_order()",
)


def upgrade() -> None:
    # Projections that run meanwhile have ended before the rows are counted, or begin when the triggers are gone.
    op.execute(f"LOCK TABLE {SUMMARIES} IN SHARE ROW EXCLUSIVE MODE")
    for trigger in ("count_whole", "count_changed", "count_none"):
        op.execute(f"DROP TRIGGER {trigger} ON {SUMMARIES}")
    op.execute("DROP FUNCTION count_order()")
    op.execute("DROP FUNCTION count_no_order()")
    op.drop_table(TABLE)
    op.create_table(
        TABLE,
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        *_columns(),
        sa.Column("folded", sa.Boolean, nullable=False),
    )
    op.create_index(f"{TABLE}_key", TABLE, ["status"], unique=True, postgresql_where=sa.text("folded"))
    op.create_index(f"{TABLE}_changes", TABLE, ["status"], postgresql_where=sa.text("NOT folded"))
    _fold_often()
    op.execute(f"INSERT INTO {TABLE} (status, orders, amount, folded) {COUNT.format(folded=', true')}")
    for column in ("events_passed", "sampled_at", "events_sampled", "events_per_second"):
        op.drop_column("projector_checkpoints", column)


def downgrade() -> None:
    for column in (
        sa.Column("events_passed", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("sampled_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("events_sampled", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("events_per_second", sa.Float, nullable=False, server_default="0"),
    ):
        op.add_column("projector_checkpoints", column)
    op.execute(f"LOCK TABLE {SUMMARIES} IN SHARE ROW EXCLUSIVE MODE")
    op.drop_table(TABLE)
    op.create_table(TABLE, *_columns())
    _fold_often()
    for statement in (COUNT_ORDER, COUNT_NO_ORDER, *TRIGGERS):
        op.execute(statement)
    op.execute(f"INSERT INTO {TABLE} (status, orders, amount) {COUNT.format(folded='')}")


def _columns() -> list[sa.Column[object]]:
    return [
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("orders", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.Numeric(32, 2), nullable=False),
    ]


def _fold_often() -> None:
    """Folding leaves dead rows, which count more here than in a large table."""
    op.execute(f"ALTER TABLE {TABLE} SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)")
