"""The stored counters, and what clients are told, against a count of the replayed orders."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import psycopg

from tests.drills.replay import Replayed
from tests.drills.rows import fields_that_differ, rows_by

STATUSES = ("pending", "confirmed", "shipped", "cancelled")

# The changes that are not folded yet count as much as those that are.
COUNTERS = """
    SELECT status, CAST(sum(orders) AS bigint) AS orders, sum(amount) AS amount FROM order_statistics GROUP BY status
"""

Counted = dict[str, dict[str, Any]]  # by status, with the columns of the counters


def wrong_counters(connection: psycopg.Connection[Any], orders: Iterable[Replayed]) -> Iterator[str]:
    shown, expected = rows_by("status", connection, COUNTERS), _count(orders)
    for status in shown.keys() | expected.keys():
        for what in fields_that_differ(shown.get(status, _none(status)), expected.get(status, _none(status))):
            yield f"counters of {status} orders: {what}"


def wrong_answers(answers: Iterable[Mapping[str, Any]], orders: Iterable[Replayed]) -> Iterator[str]:
    """What is wrong in any of these answers to `GET /orders/statistics`."""
    expected = _answer(_count(orders))
    for answer in answers:
        for what in fields_that_differ(answer, expected):
            yield f"answered to a client: {what}"


def _count(orders: Iterable[Replayed]) -> Counted:
    counted = {status: _none(status) for status in STATUSES}
    for order in orders:
        row = counted[order.header["status"]]
        row["orders"] += 1
        row["amount"] += order.header["total_amount"]
    return counted


def _none(status: str) -> dict[str, Any]:
    return {"status": status, "orders": 0, "amount": Decimal(0)}


def _answer(counted: Counted) -> dict[str, Any]:
    return {
        "total_count": sum(row["orders"] for row in counted.values()),
        **{f"{status}_count": row["orders"] for status, row in counted.items()},
        "total_revenue": counted["shipped"]["amount"],
    }
