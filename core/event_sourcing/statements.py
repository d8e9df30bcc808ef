"""The SQL of the event store, in the driver's own words: what runs for every command is read once and prepared."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from core.event_sourcing.codec import encode
from core.event_sourcing.event_store import NewEvent, Snapshot
from core.idempotency import IdempotencyKey

AGGREGATE_TYPE = "Order"

COLUMNS = "position, aggregate_id, version, event_type, event_data, metadata, occurred_at"

# A version that is there already is an error, which undoes all of it; a gap before it inserts nothing.
APPEND = """
    WITH appended AS (
        INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
        SELECT %(aggregate_id)s, %(aggregate_type)s, version, event_type, event_data, metadata, occurred_at
        FROM (VALUES {events}) AS new (version, event_type, event_data, metadata, occurred_at)
        WHERE %(expected_version)s::integer = 0
           OR EXISTS (SELECT FROM events WHERE aggregate_id = %(aggregate_id)s AND version = %(expected_version)s)
        ORDER BY version
        RETURNING position, version
    ){more}
    SELECT position FROM appended ORDER BY version
"""

NEW_EVENT = (
    "(%(version_{0})s::integer, %(type_{0})s, %(data_{0})s::jsonb, %(metadata_{0})s::jsonb, %(at_{0})s::timestamptz)"
)

# A key that is there already is an error too.
REMEMBER = """, remembered AS (
        INSERT INTO idempotency_keys (owner, key, request_hash, order_id, version, position)
        SELECT %(owner)s, %(key)s, %(request_hash)s, %(aggregate_id)s, version, position
        FROM appended ORDER BY version DESC LIMIT 1
    )"""

SAVE_SNAPSHOT = """, saved AS (
        INSERT INTO order_snapshots AS stored (aggregate_id, version, shape, occurred_at, state)
        SELECT %(aggregate_id)s, version, %(shape)s, %(snapshot_at)s, %(state)s::jsonb
        FROM appended WHERE version = %(snapshot_version)s
        ON CONFLICT (aggregate_id) DO UPDATE
        SET version = excluded.version, shape = excluded.shape, occurred_at = excluded.occurred_at,
            state = excluded.state
        WHERE stored.shape <> excluded.shape OR stored.version < excluded.version
    )"""

READ_STREAM = f"""
    SELECT {COLUMNS} FROM events
    WHERE aggregate_id = %(aggregate_id)s AND version > %(after)s
    ORDER BY version
"""

# The snapshot comes first, if there is one, as a row without a position.
READ_FROM_SNAPSHOT = f"""
    WITH snapshot AS (
        SELECT version, state, occurred_at FROM order_snapshots
        WHERE aggregate_id = %(aggregate_id)s AND shape = %(shape)s
    )
    SELECT NULL::bigint AS position, NULL AS aggregate_id, version, NULL AS event_type, state AS event_data,
           NULL::jsonb AS metadata, occurred_at
    FROM snapshot
    UNION ALL
    SELECT {COLUMNS} FROM events
    WHERE aggregate_id = %(aggregate_id)s AND version > coalesce((SELECT version FROM snapshot), 0)
    ORDER BY version
"""

VERSION = "SELECT coalesce(max(version), 0) FROM events WHERE aggregate_id = %(aggregate_id)s"

READ_ALL = f"SELECT {COLUMNS} FROM events ORDER BY position"


@cache
def append(events: int, *, remember: bool, snapshot: bool) -> str:
    """For so many events, with what shall be stored beside them."""
    more = (REMEMBER if remember else "") + (SAVE_SNAPSHOT if snapshot else "")
    return APPEND.format(events=", ".join(NEW_EVENT.format(number) for number in range(events)), more=more)


def values(
    aggregate_id: str,
    expected_version: int,
    events: Sequence[NewEvent],
    once: IdempotencyKey | None,
    snapshot: Snapshot | None,
) -> Mapping[str, Any]:
    """What `append` takes."""
    row: dict[str, Any] = {
        "aggregate_id": aggregate_id,
        "aggregate_type": AGGREGATE_TYPE,
        "expected_version": expected_version,
    }
    for number, new in enumerate(events):
        stored = encode(new.event)
        row[f"version_{number}"] = expected_version + 1 + number
        row[f"type_{number}"] = stored.event_type
        row[f"data_{number}"] = _json(stored.data)
        row[f"metadata_{number}"] = _json({**new.metadata, "schema_version": stored.schema_version})
        row[f"at_{number}"] = new.occurred_at
    if once is not None:
        row |= {"owner": once.owner, "key": once.key, "request_hash": once.request_hash}
    if snapshot is not None:
        row |= {"snapshot_version": snapshot.version, "shape": snapshot.shape}
        row |= {"snapshot_at": snapshot.occurred_at, "state": _json(snapshot.state)}
    return row


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
