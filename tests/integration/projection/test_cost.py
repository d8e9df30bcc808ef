"""What catch-up and status read follows what is new, not the length of the log or the number of orders."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.projection.catch_up import BATCH, READ_SETTLED
from core.projection.status import LAG
from tests.support.read_side import append_placed, run, store_many

NEW = ["ORDER-001", "ORDER-002", "ORDER-003"]
LITTLE_MORE = 10  # pages; an index grows by a level or two

MEASURED = {
    "catch-up": READ_SETTLED.text,
    "status": LAG.format(table="order_summary_read_models"),
}


def fill_behind_checkpoint(sessions: sessionmaker[Session], events: int) -> None:
    """So many events behind the checkpoint, and a tenth as many rows in the read model."""
    store_many(sessions, f"LONG-{events}", events)
    run(
        sessions,
        f"""
        INSERT INTO order_summary_read_models (order_id, customer_name, status, total_amount, placed_at, version)
        SELECT 'LONG-{events}-' || n, '山田太郎', 'pending', 1, now(), 1 FROM generate_series(1, {events // 10}) AS n
        """,
        "ANALYZE",  # as autovacuum does within a minute
    )


def explained(sessions: sessionmaker[Session], statement: str) -> dict[str, Any]:
    """What PostgreSQL did to run it from the last event before those of the new orders."""
    newest = "SELECT epoch, transaction_id, position FROM events WHERE aggregate_id LIKE 'LONG-%' ORDER BY 3 DESC"
    explain = text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
    with sessions.begin() as session:
        checkpoint = session.execute(text(f"{newest} LIMIT 1")).mappings().one()
        [found] = session.execute(explain, {**checkpoint, "batch": BATCH}).scalar_one()
    plan: dict[str, Any] = found["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def pages(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def events_read(plan: dict[str, Any]) -> list[tuple[str, int]]:
    """By which index, and how many, at each place that reads the events."""
    return [
        (node.get("Index Name", ""), node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0))
        for node in nodes(plan)
        if node.get("Index Name", "").startswith("events_") or node.get("Relation Name") == "events"
    ]


def test_a_million_events_behind_the_checkpoint_cost_no_more_than_a_thousand(sessions: sessionmaker[Session]) -> None:
    fill_behind_checkpoint(sessions, 1_000)
    append_placed(sessions, *NEW)
    few = {name: explained(sessions, statement) for name, statement in MEASURED.items()}
    fill_behind_checkpoint(sessions, 1_000_000)
    append_placed(sessions, *(f"{order_id}-again" for order_id in NEW))

    for name, statement in MEASURED.items():
        many = explained(sessions, statement)
        assert events_read(many) == [("events_epoch_transaction_id_position_idx", len(NEW))], name
        assert pages(many) <= pages(few[name]) + LITTLE_MORE, name
