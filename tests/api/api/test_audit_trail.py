"""The audit trail: every event of an order, who did it and when, in words, and what it changed."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing import postgres_store
from core.event_sourcing.event_store import NewEvent, RecordedEvent
from core.event_sourcing.postgres_store import PostgresEventStore
from core.orders.events import OrderEvent
from tests.support.calls import faults, nothing_stored, order_after, problem, read, send, show_everything
from tests.support.examples import CANCELLED, CONFIRMED, LAPTOP_ADDED, MICE_ADDED, ORDER_ID, PLACED, SHIPPED
from tests.support.read_side import run, store
from tests.support.streams import append


def trail(client: FlaskClient, order_id: str = ORDER_ID) -> list[dict[str, Any]]:
    return list(itertools.chain.from_iterable(pages(client, order_id)))


def pages(client: FlaskClient, order_id: str = ORDER_ID, limit: int = 200) -> Iterator[list[dict[str, Any]]]:
    following = ""
    while True:
        document = read(client.get(f"/orders/{order_id}/events?limit={limit}{following}"))
        assert document["order_id"] == order_id
        yield document["events"]
        if document["next_cursor"] is None:
            return
        following = f"&cursor={document['next_cursor']}"


def changed(entry: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {change["field"]: (change["before"], change["after"]) for change in entry["changes"]}


def test_each_event_says_what_it_changed(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED, MICE_ADDED, CONFIRMED, SHIPPED])
    laptop = {"version": 2, "product_name": "ノートPC", "quantity": 1, "unit_price": 80000, "subtotal": 80000}
    mice = {"version": 3, "product_name": "マウス", "quantity": 2, "unit_price": 1500, "subtotal": 3000}

    assert [changed(entry) for entry in trail(client)] == [
        {
            "order_id": (None, ORDER_ID),
            "customer_name": (None, "山田太郎"),
            "status": (None, "pending"),
            "total_amount": (None, Decimal("10000.00")),
            "placed_at": (None, "2026-01-01T12:00:00Z"),
            "items_total": (None, 0),
        },
        {"items_total": (0, 80000), "items/0": (None, laptop)},
        {"items_total": (80000, 83000), "items/1": (None, mice)},
        {"status": ("pending", "confirmed"), "confirmed_at": (None, "2026-01-01T12:03:00Z")},
        {
            "status": ("confirmed", "shipped"),
            "shipped_at": (None, "2026-01-01T12:04:00Z"),
            "tracking_number": (None, "TRACK-12345678"),
        },
    ]


def test_a_cancellation_says_what_it_changed(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, CANCELLED])

    assert changed(trail(client)[1]) == {
        "status": ("pending", "cancelled"),
        "cancelled_at": (None, "2026-01-01T12:05:00Z"),
        "cancel_reason": (None, "顧客都合によるキャンセル"),
    }


def test_each_event_is_told_in_a_sentence_under_its_stored_name(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    lives: list[list[OrderEvent]] = [[PLACED, LAPTOP_ADDED, MICE_ADDED, CONFIRMED, SHIPPED], [PLACED, CANCELLED]]
    for order_id, life in zip(("ORDER-001", "ORDER-002"), lives, strict=True):
        append(sessions, life, order_id=order_id)

    told = [(entry["event_type"], entry["sentence"]) for entry in trail(client, "ORDER-001")]
    assert told == [
        ("OrderPlaced", "Order placed for 山田太郎, total amount 10,000.00."),
        ("OrderItemAdded", "1 x ノートPC at 80,000.00 added."),
        ("OrderItemAdded", "2 x マウス at 1,500.00 added."),
        ("OrderConfirmed", "Order confirmed."),
        ("OrderShipped", "Order shipped under tracking number TRACK-12345678."),
    ]
    [_, cancelled] = trail(client, "ORDER-002")
    assert (cancelled["event_type"], cancelled["sentence"]) == (
        "OrderCancelled",
        "Order cancelled: 顧客都合によるキャンセル.",
    )


def test_each_event_says_when_and_where_in_the_log_it_is(client: FlaskClient) -> None:
    before = datetime.now(UTC)
    order_id = order_after(client, "add_item", "confirm_order")
    position = read(send(client, "ship_order", order_id))["position"]

    entries = trail(client, order_id)

    assert [entry["version"] for entry in entries] == [1, 2, 3, 4]
    positions = [entry["position"] for entry in entries]
    assert positions == sorted(set(positions))
    assert positions[-1] == position
    times = [datetime.fromisoformat(entry["occurred_at"]) for entry in entries]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= datetime.now(UTC)


def test_each_command_has_a_cause_of_its_own(client: FlaskClient) -> None:
    entries = trail(client, order_after(client, "add_item", "confirm_order"))

    causes = [entry["causation_id"] for entry in entries]
    assert len(set(causes)) == 3
    assert all(UUID(cause).version == 7 for cause in causes)
    assert all(UUID(entry["correlation_id"]) for entry in entries)
    assert {entry["actor"] for entry in entries} == {"anonymous"}


def test_who_did_it_is_what_the_event_says(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    told = {"actor": "shop", "correlation_id": "c-1", "causation_id": "k-1"}
    with sessions.begin() as session:
        new = NewEvent(event=PLACED, occurred_at=PLACED.placed_at, metadata=told)
        PostgresEventStore(driver_connection(session)).append(ORDER_ID, 0, [new])

    [entry] = trail(client)

    assert {name: entry[name] for name in told} == told


def test_the_trail_needs_no_read_model_and_changes_add_up_to_the_order(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    order_id = order_after(client, "add_item", "add_item", "confirm_order", "ship_order")
    fields: dict[str, Any] = {}
    for name, (before, after) in itertools.chain.from_iterable(
        changed(entry).items() for entry in trail(client, order_id)
    ):
        assert fields.get(name) == before
        fields[name] = after

    show_everything(sessions)
    details = read(client.get(f"/orders/{order_id}"))
    for number, item in enumerate(details.pop("items")):
        assert {**item, "version": number + 2} == fields.pop(f"items/{number}")
    assert details.pop("version") == 5
    assert {name: shown for name, shown in details.items() if shown is not None} == fields


def test_a_long_order_is_told_in_time(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED])
    run(
        sessions,
        """
        INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
        SELECT 'ORDER-001', 'Order', n, 'OrderItemAdded',
               '{"order_id": "ORDER-001", "product_name": "マウス", "quantity": 1, "unit_price": "1.00",
                 "added_at": "2026-01-01T12:00:00+00:00"}',
               '{"schema_version": 1}', '2026-01-01T12:00:00Z'
        FROM generate_series(2, 3001) AS n
        """,
    )
    asked = datetime.now(UTC)

    entries = trail(client)

    assert (datetime.now(UTC) - asked).total_seconds() < 5  # comparing every item each time would take minutes
    assert changed(entries[-1])["items_total"] == (2999, 3000)


def test_an_order_that_is_not_there_has_no_trail(client: FlaskClient) -> None:
    problem(client.get("/orders/ORDER-404/events"), 404, "order-not-found")


def test_pages_neither_skip_nor_repeat_events(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED, MICE_ADDED, CONFIRMED, SHIPPED])
    whole = trail(client)

    for limit in (1, 2, 3, 5, 6):
        parts = list(pages(client, limit=limit))
        assert list(itertools.chain.from_iterable(parts)) == whole
        assert [len(part) for part in parts[:-1]] == [limit] * (len(parts) - 1)
    assert read(client.get(f"/orders/{ORDER_ID}/events?cursor=5"))["events"] == []
    assert read(client.get(f"/orders/{ORDER_ID}/events?cursor={'9' * 18}")) == {
        "order_id": ORDER_ID,
        "events": [],
        "next_cursor": None,
    }


def test_without_a_limit_a_page_has_two_hundred_events(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, *[LAPTOP_ADDED] * 200])

    document = read(client.get(f"/orders/{ORDER_ID}/events"))

    assert (len(document["events"]), document["next_cursor"]) == (200, "200")


def test_what_is_no_page_is_refused_by_name(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED])

    for cursor in ("", "0", "-1", "01", "one", "1" * 19, "1.0"):
        assert list(faults(client.get(f"/orders/{ORDER_ID}/events?cursor={cursor}"))) == ["#/cursor"], cursor
    assert set(faults(client.get(f"/orders/{ORDER_ID}/events?limit=201&version=1"))) == {"#/limit", "#/version"}


def test_the_past_is_read_only_up_to_what_was_asked_for(
    client: FlaskClient, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    append(sessions, [PLACED, *[LAPTOP_ADDED] * 300])
    read_events, really_read = [], postgres_store.recorded

    def reading(row: Any) -> RecordedEvent:
        read_events.append(row)
        return really_read(row)

    monkeypatch.setattr(postgres_store, "recorded", reading)
    bounds = {
        "/diff?from=1&to=2": 2,
        "/diff?from=5&to=2": 5,
        "?version=3": 3,
        "/events?limit=10": 11,
        "/events?limit=10&cursor=50": 61,
    }
    for asked, most in bounds.items():
        read_events.clear()
        assert client.get(f"/orders/{ORDER_ID}{asked}").status_code == 200
        assert len(read_events) == most, asked


def test_an_event_of_a_later_release_is_said_clearly(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED])
    store(sessions, ORDER_ID, 3, "OrderRefunded")

    for path in ("events", "diff?from=1&to=3"):
        answer = client.get(f"/orders/{ORDER_ID}/{path}")
        assert "'OrderRefunded', schema version 1" in problem(answer, 503, "event-unknown")["detail"]
        assert int(answer.headers["Retry-After"]) > 0
    problem(client.get(f"/orders/{ORDER_ID}?version=3"), 503, "event-unknown")
    assert read(client.get(f"/orders/{ORDER_ID}?version=2"))["version"] == 2
    with nothing_stored(sessions):
        problem(send(client, "confirm_order", ORDER_ID), 503, "event-unknown")
