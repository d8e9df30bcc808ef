"""The event store: one table, append-only by triggers that also fire for replicated sessions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from core.database import XID8

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("transaction_id", XID8, nullable=False, server_default=sa.text("pg_current_xact_id()")),
        sa.Column("aggregate_id", sa.Text, nullable=False),
        sa.Column("aggregate_type", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("event_data", JSONB, nullable=False),
        sa.Column("metadata", JSONB, nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("position", name="events_pkey"),
        sa.UniqueConstraint("aggregate_id", "version", name="events_aggregate_id_version_key"),
    )
    op.create_index("events_transaction_id_position_idx", "events", ["transaction_id", "position"])
    op.execute("""
        CREATE FUNCTION refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'The events table is append-only; % is refused. Record a new event instead.', TG_OP
                USING ERRCODE = 'restrict_violation';
        END
        $$
    """)
    op.execute("""
        CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE ON events
        FOR EACH ROW EXECUTE FUNCTION refuse_change_of_events()
    """)
    op.execute("""
        CREATE TRIGGER events_are_never_truncated BEFORE TRUNCATE ON events
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events()
    """)
    op.execute("ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_append_only")
    op.execute("ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_never_truncated")


def downgrade() -> None:
    raise RuntimeError("Going below migration 0001 would drop the event log; restore a backup elsewhere instead.")
