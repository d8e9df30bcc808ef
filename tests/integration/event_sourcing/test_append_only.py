"""The database itself refuses to change history."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from tests.support.examples import LAPTOP_ADDED, PLACED
from tests.support.streams import append


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET event_data = '{}'",
        "UPDATE events SET metadata = '{}' WHERE version = 1",
        "DELETE FROM events WHERE version = 2",
        "TRUNCATE events",
        "SET LOCAL session_replication_role = replica; DELETE FROM events",
        "SET LOCAL session_replication_role = replica; TRUNCATE events",
    ],
)
def test_stored_events_cannot_be_changed(sessions: sessionmaker[Session], statement: str) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED])
    before = rows(sessions)

    with pytest.raises(DBAPIError, match="append-only"):
        run(sessions, statement.split("; "))

    assert rows(sessions) == before


def test_a_version_is_stored_once(sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED])
    copy = """
        INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
        SELECT aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at FROM events
    """

    with pytest.raises(DBAPIError, match="events_aggregate_id_version_key"), sessions.begin() as session:
        session.execute(text(copy))

    assert len(rows(sessions)) == 1


def run(sessions: sessionmaker[Session], statements: list[str]) -> None:
    with sessions.begin() as session:
        for statement in statements:
            session.execute(text(statement))


def rows(sessions: sessionmaker[Session]) -> list[tuple[object, ...]]:
    with sessions.begin() as session:
        return [tuple(row) for row in session.execute(text("SELECT * FROM events ORDER BY position"))]
