"""Runs migrations as the owner of the tables; `flask db …` calls it."""

from alembic import context
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.base import ischema_names

from core.database import XID8, metadata
from webapp.cli.common import database_faults
from webapp.database import OWNER, db

# Of the processes that start at once, one migrates and the others wait. Any number that nothing else locks will do.
MIGRATION_LOCK = 4_120_501

ischema_names["xid8"] = XID8  # SQLAlchemy does not know the type when it compares the tables with the models


def run_offline() -> None:
    """`flask db upgrade --sql`: print the statements."""
    url = db.engines[OWNER].url.render_as_string(hide_password=False)
    context.configure(url=url, target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    with database_faults():
        connected = db.engines[OWNER].connect()
    with connected as connection:
        context.configure(connection=connection, target_metadata=metadata)
        with context.begin_transaction():
            connection.execute(text("SET LOCAL statement_timeout = 0"))  # requests have one, migrations take their time
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
