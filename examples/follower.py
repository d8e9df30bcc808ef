"""Follows the feed of Orderlog into a read model of its own: python examples/follower.py URL FILE

FILE is an SQLite database with a row per order. Rows and cursor change in one transaction, so that this program, the
service and all that it runs on may be killed at any moment: in the end the totals are those of GET /orders/statistics.
ORDERLOG_KEY is a key with the scope events:read, if the service asks for one."""

import json
import os
import sqlite3
import sys
import time
from decimal import Decimal
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

TABLES = """
    CREATE TABLE IF NOT EXISTS orders (order_id TEXT PRIMARY KEY, version INTEGER, status TEXT, cents INTEGER);
    CREATE TABLE IF NOT EXISTS follower (id INTEGER PRIMARY KEY, cursor TEXT);
"""
SAVE = """
    INSERT INTO orders VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET version = excluded.version, status = coalesce(excluded.status, status)
"""
STATES = ("pending", "confirmed", "shipped", "cancelled")
CHANGED_TO = dict(zip(("OrderPlaced", "OrderConfirmed", "OrderShipped", "OrderCancelled"), STATES, strict=True))


def read_page(url: str, cursor: str | None) -> Any:
    """What follows the cursor; waits ten seconds for it. Amounts are read as Decimal, for a float is not exact."""
    query = urlencode({"limit": 1000, **({"after": cursor} if cursor else {})})
    headers = {"Prefer": "wait=10", "Authorization": f"Bearer {os.environ.get('ORDERLOG_KEY', '')}"}
    with urlopen(Request(f"{url}/events?{query}", headers=headers), timeout=30) as answer:  # noqa: S310
        return json.load(answer, parse_float=Decimal)


def apply(database: sqlite3.Connection, event: dict[str, Any]) -> None:
    """Once, however often the event comes. An unknown type changes nothing but the version."""
    order_id, version = event["subject"], event["orderversion"]
    (known,) = database.execute("SELECT max(version) FROM orders WHERE order_id = ?", [order_id]).fetchone()
    if version > (known or 0):
        cents = int(event["data"].get("total_amount", 0) * 100)
        database.execute(SAVE, [order_id, version, CHANGED_TO.get(event["type"]), cents])


def follow(url: str, database: sqlite3.Connection) -> None:
    while True:
        (cursor,), asked = database.execute("SELECT max(cursor) FROM follower").fetchone(), time.monotonic()
        try:
            page = read_page(url, cursor)
        except (OSError, HTTPException, ValueError) as error:
            if (code := getattr(error, "code", 503)) == 410:  # restored from an old backup: begin again
                database.executescript("BEGIN; DELETE FROM orders; DELETE FROM follower; COMMIT")
            elif code < 500 and code != 429:
                sys.exit(f"{url}: {error}")
            page = {"events": [], "next_cursor": cursor}
        else:
            with database:  # a transaction
                for event in page["events"]:
                    apply(database, event)
                database.execute("REPLACE INTO follower VALUES (1, ?)", [page["next_cursor"]])
        if page["events"]:
            print(*(f"{name}={value}" for name, value in totals(database).items()), flush=True)
        elif page["next_cursor"] == cursor:
            time.sleep(max(0.0, asked + 1 - time.monotonic()))


def totals(database: sqlite3.Connection) -> dict[str, int | Decimal]:
    """As GET /orders/statistics has them."""
    found = {row[0]: row[1:] for row in database.execute("SELECT status, count(*), sum(cents) FROM orders GROUP BY 1")}
    counts = {f"{status}_count": found.get(status, (0, 0))[0] for status in STATES}
    revenue = Decimal(found.get("shipped", (0, 0))[1]) / 100
    return {"total_count": sum(counts.values()), **counts, "total_revenue": revenue}


if __name__ == "__main__":
    store = sqlite3.connect(sys.argv[2])
    store.executescript(TABLES)
    follow(sys.argv[1].rstrip("/"), store)
