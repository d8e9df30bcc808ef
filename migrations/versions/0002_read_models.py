"""The read models and the projectors' checkpoints; all of it can be made again from the events."""

import sqlalchemy as sa
from alembic import op

from core.database import XID8

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("order_summary_read_models", *_header_columns())
    for columns in (["placed_at"], ["status", "placed_at"], ["customer_name", "placed_at"]):
        name = f"order_summary_read_models_{'_'.join(columns)}_order_id_idx"
        op.create_index(name, "order_summary_read_models", [*columns, "order_id"])
    op.create_table(
        "order_details_read_models",
        *_header_columns(),
        sa.Column("items_total", sa.Numeric(26, 2), nullable=False),
    )
    op.create_table(
        "order_item_read_models",
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("product_name", sa.Text, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("unit_price", sa.Numeric(14, 2), nullable=False),
        sa.Column("subtotal", sa.Numeric(20, 2), nullable=False),
    )
    op.create_table(
        "projector_checkpoints",
        sa.Column("projector", sa.Text, primary_key=True),
        sa.Column("transaction_id", XID8, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


def downgrade() -> None:
    for table in (
        "projector_checkpoints",
        "order_item_read_models",
        "order_details_read_models",
        "order_summary_read_models",
    ):
        op.drop_table(table)


def _header_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("customer_name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("total_amount", sa.Numeric(14, 2), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True)),
        sa.Column("shipped_at", sa.DateTime(timezone=True)),
        sa.Column("cancelled_at", sa.DateTime(timezone=True)),
        sa.Column("tracking_number", sa.Text),
        sa.Column("cancel_reason", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
    ]
