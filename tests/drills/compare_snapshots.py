"""The stored snapshots against the orders as replayed up to the same versions."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.drills.replay import Replayed
from tests.drills.rows import fields_that_differ

SNAPSHOTS = """
    SELECT aggregate_id AS order_id, version, snapshot.occurred_at, state, event.occurred_at AS last_event_at
    FROM order_snapshots AS snapshot LEFT JOIN events AS event USING (aggregate_id, version)
"""


def wrong_snapshots(snapshots: Mapping[str, Mapping[str, Any]], replayed: Mapping[str, Replayed]) -> Iterator[str]:
    """Rows of SNAPSHOTS by order, each beside the order as its events up to that version leave it."""
    for order_id, snapshot in snapshots.items():
        shown = {"version": snapshot["version"], "occurred_at": snapshot["occurred_at"], **snapshot["state"]}
        expected = _expected(replayed[order_id], snapshot) if order_id in replayed else {}
        for what in fields_that_differ(shown, expected):
            yield f"snapshot of {order_id}: {what}"


def _expected(order: Replayed, snapshot: Mapping[str, Any]) -> dict[str, Any]:
    header = order.header
    return {
        "version": header["version"],
        "occurred_at": snapshot["last_event_at"],
        "id": header["order_id"],
        "customer_name": header["customer_name"],
        "total_amount": str(header["total_amount"]),
        "status": header["status"],
        "item_count": len(order.items),
    }
