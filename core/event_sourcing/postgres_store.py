"""The event store on PostgreSQL. The unique (aggregate_id, version) referees between writers; nothing is locked."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import Connection
from psycopg.errors import UniqueViolation
from sqlalchemy import Engine

from core.database import autocommitting
from core.event_sourcing import statements
from core.event_sourcing.codec import decode
from core.event_sourcing.event_store import NewEvent, OpenStore, RecordedEvent, Snapshot, WrongExpectedVersion
from core.idempotency import IdempotencyKey, KeyUsed, idempotency_keys


class PostgresEventStore:
    """Each method is one statement, and so one round trip; a transaction of its own unless one has begun."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    def append(
        self,
        aggregate_id: str,
        expected_version: int,
        events: Sequence[NewEvent],
        *,
        once: IdempotencyKey | None = None,
        snapshot: Snapshot | None = None,
    ) -> list[RecordedEvent]:
        if not events:
            return []
        query = statements.append(len(events), remember=once is not None, snapshot=snapshot is not None)
        row = statements.values(aggregate_id, expected_version, events, once, snapshot)
        try:
            positions = self._connection.execute(query, row).fetchall()
        except UniqueViolation as error:
            if error.diag.constraint_name == idempotency_keys.primary_key.name:
                raise KeyUsed from error
            raise WrongExpectedVersion(aggregate_id, expected_version) from error
        if not positions:
            raise WrongExpectedVersion(aggregate_id, expected_version)
        return [
            RecordedEvent(position, aggregate_id, expected_version + number, new.event, new.metadata, new.occurred_at)
            for number, ((position,), new) in enumerate(zip(positions, events, strict=True), start=1)
        ]

    def read_stream(self, aggregate_id: str, after: int = 0) -> Iterator[RecordedEvent]:
        rows = self._connection.execute(statements.READ_STREAM, {"aggregate_id": aggregate_id, "after": after})
        return map(recorded, rows)

    def read_from_snapshot(self, aggregate_id: str, shape: int) -> tuple[Snapshot | None, Iterator[RecordedEvent]]:
        found = {"aggregate_id": aggregate_id, "shape": shape}
        rows = self._connection.execute(statements.READ_FROM_SNAPSHOT, found).fetchall()
        if not rows or rows[0][0] is not None:
            return None, map(recorded, rows)
        _, _, version, _, state, _, occurred_at = rows[0]
        return Snapshot(version, shape, occurred_at, state), map(recorded, rows[1:])

    def version(self, aggregate_id: str) -> int:
        """That of the last event; 0 if there is none."""
        (version,) = self._connection.execute(statements.VERSION, {"aggregate_id": aggregate_id}).fetchone() or (0,)
        return int(version)

    def read_all(self) -> Iterator[RecordedEvent]:
        with self._connection.transaction(), self._connection.cursor(name="read_all") as cursor:
            yield from map(recorded, cursor.execute(statements.READ_ALL))


def stores(engine: Engine) -> OpenStore:
    """Each on a connection of this pool, and given back when its block ends."""

    @contextmanager
    def open_store() -> Iterator[PostgresEventStore]:
        with autocommitting(engine) as connection:
            yield PostgresEventStore(connection)

    return open_store


def recorded(row: Sequence[Any]) -> RecordedEvent:
    """The event that a row of `events` holds. Raises UnknownEventType."""
    position, aggregate_id, version, event_type, event_data, stored_metadata, occurred_at = row
    metadata = dict(stored_metadata)
    event = decode(event_type, metadata.pop("schema_version"), event_data)
    return RecordedEvent(position, aggregate_id, version, event, metadata, occurred_at)
