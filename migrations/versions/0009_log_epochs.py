"""Epochs of the log: the database notices by itself that it was moved to a cluster whose transaction ids begin low."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# A transaction id tells the order of commits within one cluster only. So each event says in which epoch it was stored,
# and an epoch ends when the log is found in another cluster: its identifier is another (dump and restore, logical
# replication, pg_upgrade), or it cannot have given out the id of a checkpoint yet (a copy of the disk that followed by
# logical replication). Identity columns that are behind their tables, as replication leaves them, catch up.
LOG_EPOCH = """
    CREATE FUNCTION log_epoch() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = {schema}, pg_temp AS $$
    DECLARE
        cluster bigint := (SELECT system_identifier FROM pg_control_system());
        latest log_epochs;
        numbered record;
    BEGIN
        SELECT * INTO latest FROM log_epochs ORDER BY number DESC LIMIT 1;
        IF latest.system_identifier = cluster AND NOT EXISTS (
            SELECT FROM projector_checkpoints
            WHERE epoch = latest.number AND transaction_id >= pg_snapshot_xmax(pg_current_snapshot())
        ) THEN
            RETURN latest.number;
        END IF;
        INSERT INTO log_epochs (number, system_identifier)
        SELECT greatest(max(number), (SELECT max(epoch) FROM events), 0) + 1, cluster FROM log_epochs
        HAVING max(number) IS NOT DISTINCT FROM latest.number  -- or somebody else has begun it meanwhile
        ON CONFLICT DO NOTHING;
        FOR numbered IN
            SELECT attname AS name, attrelid::regclass::text AS of_table FROM pg_attribute
            JOIN pg_class ON pg_class.oid = attrelid
            WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r' AND attidentity <> ''
        LOOP
            EXECUTE format(
                'SELECT setval(sequence, last) FROM (SELECT pg_get_serial_sequence(%1$L, %2$L)::regclass AS sequence,'
                ' max(%2$I) AS last FROM %1$s) AS stored WHERE last > coalesce(pg_sequence_last_value(sequence), 0)',
                numbered.of_table, numbered.name);
        END LOOP;
        RETURN log_epoch();
    END
    $$
"""


def upgrade() -> None:
    op.create_table(
        "log_epochs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("system_identifier", sa.BigInteger, nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.add_column("events", sa.Column("epoch", sa.Integer, nullable=False, server_default="1"))
    op.add_column("projector_checkpoints", sa.Column("epoch", sa.Integer, nullable=False, server_default="1"))
    op.alter_column("projector_checkpoints", "epoch", server_default=None)
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    op.execute(LOG_EPOCH.format(schema=schema))
    op.alter_column("events", "epoch", server_default=sa.text("log_epoch()"))
    op.create_index("events_epoch_transaction_id_position_idx", "events", ["epoch", "transaction_id", "position"])
    op.drop_index("events_transaction_id_position_idx", "events")
    # A log that was moved before has events whose ids are lower than those of checkpoints: it is read once more.
    moved = "EXISTS (SELECT FROM events WHERE transaction_id >= pg_snapshot_xmax(pg_current_snapshot()))"
    op.execute(f"UPDATE projector_checkpoints SET transaction_id = '0', position = 0 WHERE {moved}")
    op.execute(f"""
        INSERT INTO log_epochs (number, system_identifier)
        SELECT CASE WHEN {moved} THEN 2 ELSE 1 END, system_identifier FROM pg_control_system()
    """)


def downgrade() -> None:
    op.create_index("events_transaction_id_position_idx", "events", ["transaction_id", "position"])
    op.drop_column("events", "epoch")
    op.drop_column("projector_checkpoints", "epoch")
    op.execute("DROP FUNCTION log_epoch()")
    op.drop_table("log_epochs")
