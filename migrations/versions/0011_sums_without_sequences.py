"""Sums over orders need no sequence, which may be behind its table and keep orders from being projected."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE order_statistics ALTER COLUMN id DROP IDENTITY")
    op.execute("""
        ALTER TABLE order_statistics
        ALTER COLUMN id TYPE uuid USING gen_random_uuid(), ALTER COLUMN id SET DEFAULT gen_random_uuid()
    """)


def downgrade() -> None:
    op.drop_column("order_statistics", "id")
    op.execute("ALTER TABLE order_statistics ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
