"""Idempotency keys, and indexes for the list and the statistics as they were at any time."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SUMMARIES = "order_summary_read_models"


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("request_hash", sa.LargeBinary, nullable=False),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("idempotency_keys_created_at_idx", "idempotency_keys", ["created_at"])
    op.create_index(f"{SUMMARIES}_confirmed_at_idx", SUMMARIES, ["confirmed_at"])
    op.create_index(f"{SUMMARIES}_shipped_at_idx", SUMMARIES, ["shipped_at"], postgresql_include=["total_amount"])
    op.create_index(f"{SUMMARIES}_cancelled_at_confirmed_at_idx", SUMMARIES, ["cancelled_at", "confirmed_at"])


def downgrade() -> None:
    for columns in ("confirmed_at", "shipped_at", "cancelled_at_confirmed_at"):
        op.drop_index(f"{SUMMARIES}_{columns}_idx", SUMMARIES)
    op.drop_table("idempotency_keys")
