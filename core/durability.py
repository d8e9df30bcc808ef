"""Whether the database server keeps what it acknowledges: settings that trade that away are reported, not refused."""

from sqlalchemy import text
from sqlalchemy.orm import Session

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


def dangers(session: Session) -> list[str]:
    """One sentence per setting that is off; as this session's role and database have it."""
    return [f"PostgreSQL runs with {name} off: {CONSEQUENCES[name]}." for name in session.scalars(SWITCHED_OFF)]
