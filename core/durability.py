"""Whether the database server keeps what it acknowledges: settings that trade that away are reported, not refused."""

import logging

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.database import UnusableDatabase
from core.safe_errors import DATABASE_ERRORS, describe, original

logger = logging.getLogger(__name__)

SWITCHED_OFF = text("""
    SELECT name FROM pg_settings
    WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'
    ORDER BY name
""")

CONSEQUENCES = {
    "fsync": "a crash of the machine may lose or damage everything",
    "full_page_writes": "a crash of the machine may damage the database",
    "synchronous_commit": "a crash may lose commands that were acknowledged",
}


def switched_off(session: Session) -> list[str]:
    """The names of CONSEQUENCES that are off; as this session's role and database have it."""
    return list(session.scalars(SWITCHED_OFF))


def dangers(session: Session) -> list[str]:
    """One sentence per setting that is off."""
    return [f"PostgreSQL runs with {name} off: {CONSEQUENCES[name]}." for name in switched_off(session)]


def report_dangers(sessions: sessionmaker[Session]) -> None:
    """Log them when a process starts; a database that is away is not waited for. Raises UnusableDatabase."""
    try:
        with sessions.begin() as session:
            for danger in dangers(session):
                logger.error(danger)
    except DATABASE_ERRORS as error:
        if isinstance(unusable := original(error), UnusableDatabase):
            raise unusable from error
        logger.warning("The database could not be asked whether it is durable (%s).", describe(error))
