"""What operating the read side needs: failed projections, how catch-up goes, and the ranges of a rebuild."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("events_passed", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("sampled_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("events_sampled", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("events_per_second", sa.Float, nullable=False, server_default="0"),
    ):
        op.add_column("projector_checkpoints", column)
    op.create_table(
        "projection_failures",
        sa.Column("projector", sa.Text, primary_key=True),
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("traceback", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "rebuild_ranges",
        sa.Column("rebuild_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("from_id", sa.Text, nullable=False),
        sa.Column("until_id", sa.Text),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("done", sa.Boolean, nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_table("rebuild_ranges")
    op.drop_table("projection_failures")
    for column in ("events_per_second", "events_sampled", "sampled_at", "events_passed", "checked_at"):
        op.drop_column("projector_checkpoints", column)
