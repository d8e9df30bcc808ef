"""The event store on PostgreSQL. The unique (aggregate_id, version) referees between writers; nothing is locked."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    Row,
    Table,
    Text,
    UniqueConstraint,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from core.database import XID8, metadata
from core.event_sourcing.codec import decode, encode
from core.event_sourcing.event_store import NewEvent, RecordedEvent, Transaction, WrongExpectedVersion
from core.event_sourcing.ids import Ids

AGGREGATE_TYPE = "Order"

events = Table(
    "events",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("transaction_id", XID8, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("aggregate_id", Text, nullable=False),
    Column("aggregate_type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("event_data", JSONB, nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("aggregate_id", "version"),
    Index(None, "transaction_id", "position"),
)

# A conflict waits for the other writer's transaction to end and then inserts nothing; so does a gap before the version.
INSERT = text("""
    INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
    SELECT :aggregate_id, :aggregate_type, :version, :event_type,
           CAST(:event_data AS jsonb), CAST(:metadata AS jsonb), :occurred_at
    WHERE :version = 1
       OR EXISTS (SELECT FROM events WHERE aggregate_id = :aggregate_id AND version = :version - 1)
    ON CONFLICT (aggregate_id, version) DO NOTHING
    RETURNING position
""")

COLUMNS = "position, aggregate_id, version, event_type, event_data, metadata, occurred_at"

READ_STREAM = text(f"""
    SELECT {COLUMNS} FROM events
    WHERE aggregate_id = :aggregate_id AND version > :after
    ORDER BY version
""")

READ_LATER = text(f"""
    SELECT {COLUMNS}
    FROM unnest(CAST(:aggregate_ids AS text[]), CAST(:versions AS integer[])) AS read (aggregate_id, after)
    JOIN events USING (aggregate_id)
    WHERE version > after
    ORDER BY aggregate_id, version
""")

VERSION = text("SELECT coalesce(max(version), 0) FROM events WHERE aggregate_id = :aggregate_id")

READ_ALL = text(f"SELECT {COLUMNS} FROM events ORDER BY position")


class PostgresEventStore:
    """Works inside the session's transaction; whoever opened it commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def append(self, aggregate_id: str, expected_version: int, events: Sequence[NewEvent]) -> list[RecordedEvent]:
        return [
            self._insert(aggregate_id, version, new) for version, new in enumerate(events, start=expected_version + 1)
        ]

    def _insert(self, aggregate_id: str, version: int, new: NewEvent) -> RecordedEvent:
        stored = encode(new.event)
        row = {
            "aggregate_id": aggregate_id,
            "aggregate_type": AGGREGATE_TYPE,
            "version": version,
            "event_type": stored.event_type,
            "event_data": json.dumps(stored.data, ensure_ascii=False),
            "metadata": json.dumps({**new.metadata, "schema_version": stored.schema_version}, ensure_ascii=False),
            "occurred_at": new.occurred_at,
        }
        position = self._session.execute(INSERT, row).scalar()
        if position is None:
            raise WrongExpectedVersion(aggregate_id, version - 1)
        return RecordedEvent(
            position=position,
            aggregate_id=aggregate_id,
            version=version,
            event=new.event,
            metadata=new.metadata,
            occurred_at=new.occurred_at,
        )

    def read_stream(self, aggregate_id: str, after: int = 0) -> Iterator[RecordedEvent]:
        rows = self._session.execute(READ_STREAM, {"aggregate_id": aggregate_id, "after": after})
        return map(recorded, rows)

    def read_later(self, versions: Mapping[str, int]) -> Iterator[Row[Any]]:
        """The streams of several aggregates, one after the other, each after its version; for `recorded` to decode."""
        ids = {"aggregate_ids": list(versions.keys()), "versions": list(versions.values())}
        return iter(self._session.execute(READ_LATER, ids))

    def read_streams(self, ids: Ids) -> Iterator[Row[Any]]:
        """Whole streams, one after the other; for `recorded` to decode."""
        query = select(*(events.c[name] for name in COLUMNS.split(", "))).where(ids.among(events.c.aggregate_id))
        return iter(self._session.execute(query.order_by(events.c.aggregate_id, events.c.version)).all())

    def version(self, aggregate_id: str) -> int:
        """That of the last event; 0 if there is none."""
        return int(self._session.execute(VERSION, {"aggregate_id": aggregate_id}).scalar_one())

    def read_all(self) -> Iterator[RecordedEvent]:
        return map(recorded, self._session.execute(READ_ALL, execution_options={"yield_per": 1000}))


def transaction(session: Session) -> Transaction:
    """The Transaction of this session: commits when the block ends, rolls back when it raises."""

    @contextmanager
    def open_store() -> Iterator[PostgresEventStore]:
        with session.begin():
            yield PostgresEventStore(session)

    return open_store


def recorded(row: Sequence[Any]) -> RecordedEvent:
    """The event that a row of `events` holds. Raises UnknownEventType."""
    position, aggregate_id, version, event_type, event_data, stored_metadata, occurred_at = row
    metadata = dict(stored_metadata)
    event = decode(event_type, metadata.pop("schema_version"), event_data)
    return RecordedEvent(position, aggregate_id, version, event, metadata, occurred_at)
