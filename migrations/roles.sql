-- The role that the service runs under: web, worker, webhooks, beat, and the commands catch-up, events, parked, rebuild,
-- status, verify, webhooks.
-- It adds events and reads them; it can change none, nor switch off the triggers that refuse it. It cannot make keys.
--
-- Run it as the owner of the tables, the role that runs `flask db upgrade`, after each upgrade; again does no harm:
--
--   psql "$DATABASE_OWNER_URL" -v ON_ERROR_STOP=1 -f migrations/roles.sql
--   psql "$DATABASE_OWNER_URL" -c '\password orderlog_app'

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'orderlog_app') THEN
        CREATE ROLE orderlog_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    END IF;
END
$$;

-- Before PostgreSQL 15 anybody may make tables in "public".
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO orderlog_app;

-- The read models and the service's own notes; those of later migrations too.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO orderlog_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO orderlog_app;

-- `flask events import` keeps its lines in a temporary table.
DO $$
BEGIN
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO orderlog_app', current_database());
END
$$;

-- The log. Its place in the log is the database's to give, so an event's position, transaction id and epoch cannot be
-- chosen. An identity column needs no privilege on its sequence to be filled; readiness looks whether it is behind.
REVOKE ALL ON events, log_epochs FROM orderlog_app;
GRANT SELECT ON events, log_epochs TO orderlog_app;
GRANT INSERT (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
    ON events TO orderlog_app;
REVOKE ALL ON SEQUENCE events_position_seq FROM orderlog_app;
GRANT SELECT ON SEQUENCE events_position_seq TO orderlog_app;
REVOKE EXECUTE ON FUNCTION log_epoch() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log_epoch() TO orderlog_app;

-- Keys are made and revoked, and migrations run, as the owner.
REVOKE ALL ON api_keys, alembic_version FROM orderlog_app;
GRANT SELECT ON api_keys, alembic_version TO orderlog_app;
