"""The event store on PostgreSQL. The unique (aggregate_id, version) referees between writers; nothing is locked.

Its SQL is text for the driver: what runs for every command is read once and prepared."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import Connection
from psycopg.errors import UniqueViolation
from pydantic_core import to_json
from sqlalchemy import Engine

from core.event_sourcing.codec import decode, encode
from core.event_sourcing.event_store import (
    NewEvent,
    OpenStore,
    PositionTaken,
    RecordedEvent,
    Snapshot,
    WrongExpectedVersion,
)
from core.idempotency import IdempotencyKey, KeyUsed, KeyUsedForAnotherRequest, Outcome
from core.transactions import Statements, autocommitting

LAST_VERSION = 2**31 - 1  # that the column can hold
COLUMNS = "position, aggregate_id, version, event_type, event_data, metadata, occurred_at"

# A version that is there already is an error, which undoes the whole statement; a gap before it inserts nothing.
APPENDED = """
    appended AS (
        INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
        SELECT %(aggregate_id)s, 'Order', %(expected_version)s::integer + number,
               event ->> 'type', event -> 'data', event -> 'metadata', (event ->> 'occurred_at')::timestamptz
        FROM jsonb_array_elements(%(events)s::jsonb) WITH ORDINALITY AS new (event, number)
        WHERE %(expected_version)s::integer = 0
           OR EXISTS (SELECT FROM events WHERE aggregate_id = %(aggregate_id)s AND version = %(expected_version)s)
        ORDER BY number
        RETURNING position, version
    )"""

# A key that is there already is an error too.
REMEMBERED = """
    remembered AS (
        INSERT INTO idempotency_keys (owner, key, request_hash, order_id, version, position)
        SELECT %(owner)s, %(key)s, %(request_hash)s, %(aggregate_id)s, version, position
        FROM appended ORDER BY version DESC LIMIT 1
    )"""

SAVED = """
    saved AS (
        INSERT INTO order_snapshots AS stored (aggregate_id, version, shape, occurred_at, state)
        SELECT %(aggregate_id)s, version, %(shape)s, %(snapshot_at)s, %(state)s::jsonb
        FROM appended WHERE version = %(snapshot_version)s
        ON CONFLICT (aggregate_id) DO UPDATE
        SET version = excluded.version, shape = excluded.shape, occurred_at = excluded.occurred_at,
            state = excluded.state
        WHERE stored.shape <> excluded.shape OR stored.version < excluded.version
    )"""

POSITIONS = "SELECT position FROM appended ORDER BY version"

READ_STREAM = f"""
    SELECT {COLUMNS} FROM events
    WHERE aggregate_id = %(aggregate_id)s AND version > %(after)s AND version <= %(until)s
    ORDER BY version
"""

# The events have no snapshot beside them; the snapshot, if there is one, is a row of its own, the first.
READ_FROM_SNAPSHOT = f"""
    WITH snapshot AS (
        SELECT version, occurred_at, state FROM order_snapshots
        WHERE aggregate_id = %(aggregate_id)s AND shape = %(shape)s
    )
    SELECT {COLUMNS}, NULL::integer AS snapshot_version, NULL::timestamptz AS snapshot_at, NULL::jsonb AS state
    FROM events
    WHERE aggregate_id = %(aggregate_id)s AND version > coalesce((SELECT version FROM snapshot), 0)
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, version, occurred_at, state FROM snapshot
    ORDER BY version NULLS FIRST
"""

VERSION = "SELECT coalesce(max(version), 0) FROM events WHERE aggregate_id = %(aggregate_id)s"

OUTCOME = """
    WITH expired AS (
        DELETE FROM idempotency_keys
        WHERE owner = %(owner)s AND key = %(key)s AND created_at <= now() - %(lifetime)s
    )
    SELECT request_hash, order_id, version, position FROM idempotency_keys
    WHERE owner = %(owner)s AND key = %(key)s AND created_at > now() - %(lifetime)s
"""


class PostgresEventStore:
    """Each method is one statement, and so one round trip; a transaction of its own unless one has begun."""

    def __init__(self, connection: Connection[Any] | Statements) -> None:
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
        row = {"aggregate_id": aggregate_id, "expected_version": expected_version, "events": _json_of(events)}
        parts = [APPENDED]
        if once is not None:
            parts.append(REMEMBERED)
            row |= {"owner": once.owner, "key": once.key, "request_hash": once.request_hash}
        if snapshot is not None:
            parts.append(SAVED)
            row |= {"snapshot_version": snapshot.version, "shape": snapshot.shape}
            row |= {"snapshot_at": snapshot.occurred_at, "state": to_json(snapshot.state).decode()}
        try:
            positions = self._connection.execute(f"WITH {','.join(parts)} {POSITIONS}", row).fetchall()
        except UniqueViolation as error:
            match error.diag.constraint_name:
                case "events_aggregate_id_version_key":
                    raise WrongExpectedVersion(aggregate_id, expected_version) from error
                case "idempotency_keys_pkey":
                    raise KeyUsed from error
                case "events_pkey":
                    raise PositionTaken from error
            raise
        if not positions:
            raise WrongExpectedVersion(aggregate_id, expected_version)
        return [
            RecordedEvent(position, aggregate_id, expected_version + number, new.event, new.metadata, new.occurred_at)
            for number, ((position,), new) in enumerate(zip(positions, events, strict=True), start=1)
        ]

    def read_stream(self, aggregate_id: str, after: int = 0, until: int = LAST_VERSION) -> Iterator[RecordedEvent]:
        """Up to the version `until`, if it is given."""
        wanted = {"aggregate_id": aggregate_id, "after": after, "until": until}
        rows = self._connection.execute(READ_STREAM, wanted)
        return map(recorded, rows)

    def read_from_snapshot(self, aggregate_id: str, shape: int) -> tuple[Snapshot | None, Iterator[RecordedEvent]]:
        wanted = {"aggregate_id": aggregate_id, "shape": shape}
        rows = self._connection.execute(READ_FROM_SNAPSHOT, wanted).fetchall()
        snapshot = None
        if rows and rows[0][-1] is not None:
            *_, version, occurred_at, state = rows.pop(0)
            snapshot = Snapshot(version, shape, occurred_at, state)
        return snapshot, (recorded(row[:-3]) for row in rows)

    def version(self, aggregate_id: str) -> int:
        """That of the last event; 0 if there is none."""
        (version,) = self._connection.execute(VERSION, {"aggregate_id": aggregate_id}).fetchone() or (0,)
        return int(version)

    def outcome(self, key: IdempotencyKey) -> Outcome | None:
        wanted = {"owner": key.owner, "key": key.key, "lifetime": key.lifetime}
        found = self._connection.execute(OUTCOME, wanted).fetchone()
        if found is None:
            return None
        request_hash, *outcome = found
        if request_hash != key.request_hash:
            raise KeyUsedForAnotherRequest
        return Outcome(*outcome)


def stores(engine: Engine) -> OpenStore:
    """Each on a connection of this pool, and given back when its block ends."""

    @contextmanager
    def open_store() -> Iterator[PostgresEventStore]:
        with autocommitting(engine) as connection:
            yield PostgresEventStore(connection)

    return open_store


def recorded(row: Sequence[Any]) -> RecordedEvent:
    """The event that a row of `COLUMNS` holds. Raises UnknownEventType."""
    position, aggregate_id, version, event_type, event_data, stored_metadata, occurred_at = row
    metadata = dict(stored_metadata)
    event = decode(event_type, metadata.pop("schema_version"), event_data)
    return RecordedEvent(position, aggregate_id, version, event, metadata, occurred_at)


def _json_of(events: Sequence[NewEvent]) -> str:
    """One parameter for all of them, so that the statement stays the same; what APPENDED takes apart."""
    rows = []
    for new in events:
        stored = encode(new.event)
        metadata = {**new.metadata, "schema_version": stored.schema_version}
        rows.append(
            {"type": stored.event_type, "data": stored.data, "metadata": metadata, "occurred_at": new.occurred_at}
        )
    return to_json(rows).decode()
