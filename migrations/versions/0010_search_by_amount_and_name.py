"""Indexes for searching orders by amount, and by the customer's name however its characters are composed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SUMMARIES = "order_summary_read_models"
AMOUNT = f"{SUMMARIES}_total_amount_idx"
NAME = f"{SUMMARIES}_customer_name_placed_at_order_id_idx"
NORMAL_NAME = f"{SUMMARIES}_normal_name_placed_at_order_id_idx"


def upgrade() -> None:
    op.create_index(AMOUNT, SUMMARIES, ["total_amount"])
    op.create_index(NORMAL_NAME, SUMMARIES, [sa.text("normalize(customer_name)"), "placed_at", "order_id"])
    op.drop_index(NAME, SUMMARIES)


def downgrade() -> None:
    op.create_index(NAME, SUMMARIES, ["customer_name", "placed_at", "order_id"])
    op.drop_index(NORMAL_NAME, SUMMARIES)
    op.drop_index(AMOUNT, SUMMARIES)
