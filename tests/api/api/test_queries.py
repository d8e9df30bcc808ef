"""The read side shows what was projected, with exact numbers and text as it was written."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.orders.events import OrderEvent
from core.projection.parking import record_failures
from core.projection.project import Failure
from core.settings import Patience
from tests.support.calls import LAPTOP, MICE, order_after, order_in, place, problem, read, send, show_everything
from tests.support.examples import CANCELLED, CONFIRMED, LAPTOP_ADDED, MICE_ADDED, ORDER_ID, PLACED, SHIPPED
from tests.support.streams import append

SUMMARY_FIELDS = {
    "order_id",
    "customer_name",
    "status",
    "total_amount",
    "placed_at",
    "confirmed_at",
    "shipped_at",
    "cancelled_at",
    "tracking_number",
    "cancel_reason",
    "version",
}
STATUSES = ["pending", "confirmed", "shipped", "cancelled"]


def given(sessions: sessionmaker[Session], *events: OrderEvent) -> None:
    """A projected order with exactly this history."""
    append(sessions, events)
    show_everything(sessions)


def shipped_summary() -> dict[str, Any]:
    return {
        "order_id": ORDER_ID,
        "customer_name": "山田太郎",
        "status": "shipped",
        "total_amount": Decimal("10000.00"),
        "placed_at": "2026-01-01T12:00:00Z",
        "confirmed_at": "2026-01-01T12:03:00Z",
        "shipped_at": "2026-01-01T12:04:00Z",
        "cancelled_at": None,
        "tracking_number": "TRACK-12345678",
        "cancel_reason": None,
        "version": 5,
    }


def test_details_show_the_whole_order(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    given(sessions, PLACED, LAPTOP_ADDED, MICE_ADDED, CONFIRMED, SHIPPED)

    answer = client.get(f"/orders/{ORDER_ID}")

    assert answer.status_code == 200
    assert read(answer) == {
        **shipped_summary(),
        "items": [
            {
                "version": 2,
                "product_name": "ノートPC",
                "quantity": 1,
                "unit_price": Decimal("80000.00"),
                "subtotal": Decimal("80000.00"),
            },
            {
                "version": 3,
                "product_name": "マウス",
                "quantity": 2,
                "unit_price": Decimal("1500.00"),
                "subtotal": Decimal("3000.00"),
            },
        ],
        "items_total": Decimal("83000.00"),
    }


def test_details_of_a_new_order_have_every_field(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    given(sessions, PLACED)

    assert read(client.get(f"/orders/{ORDER_ID}")) == {
        "order_id": ORDER_ID,
        "customer_name": "山田太郎",
        "status": "pending",
        "total_amount": Decimal("10000.00"),
        "items": [],
        "items_total": Decimal("0.00"),
        "placed_at": "2026-01-01T12:00:00Z",
        "confirmed_at": None,
        "shipped_at": None,
        "cancelled_at": None,
        "tracking_number": None,
        "cancel_reason": None,
        "version": 1,
    }


def test_a_cancelled_order_shows_when_and_why(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    given(sessions, PLACED, CANCELLED)

    details = read(client.get(f"/orders/{ORDER_ID}"))

    assert (details["status"], details["cancelled_at"]) == ("cancelled", "2026-01-01T12:05:00Z")
    assert details["cancel_reason"] == "顧客都合によるキャンセル"


def test_a_summary_is_the_details_without_the_items(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    given(sessions, PLACED, LAPTOP_ADDED, MICE_ADDED, CONFIRMED, SHIPPED)

    assert read(client.get("/orders")) == {"orders": [shipped_summary()], "next_cursor": None}
    assert read(client.get("/orders/status/shipped")) == {"orders": [shipped_summary()], "next_cursor": None}
    assert set(shipped_summary()) == SUMMARY_FIELDS


def test_what_was_posted_is_what_is_shown(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    before = datetime.now(UTC)
    order_id = place(client, customer_name='  O\'Brien "<b>" 👩‍👩‍👧 \u2028\u00a0𠮷野家  ', total_amount=Decimal("0.01"))
    send(client, "add_item", order_id, **LAPTOP)
    send(client, "add_item", order_id, **MICE)
    show_everything(sessions)

    details = read(client.get(f"/orders/{order_id}"))

    assert details["customer_name"] == '  O\'Brien "<b>" 👩‍👩‍👧 \u2028\u00a0𠮷野家  '
    assert details["total_amount"] == Decimal("0.01")
    assert [item["product_name"] for item in details["items"]] == ["ノートPC", "マウス"]
    assert details["items_total"] == 83000
    assert before <= datetime.fromisoformat(details["placed_at"]) <= datetime.now(UTC)


def test_amounts_are_numbers_with_the_stored_digits(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    """In the raw text: a parser may hide a float's rounding, or a number that is a string."""
    order_id = place(client, total_amount=83000)
    send(client, "add_item", order_id, quantity=1_000_000, unit_price=Decimal("999999999999.99"))
    send(client, "add_item", order_id, quantity=3, unit_price=Decimal("0.10"))
    show_everything(sessions)

    details = client.get(f"/orders/{order_id}").text

    assert '"total_amount": 83000.00,' in details
    assert '"unit_price": 999999999999.99, "subtotal": 999999999999990000.00}' in details
    assert '"unit_price": 0.10, "subtotal": 0.30}' in details
    assert '"items_total": 999999999999990000.30' in details
    for path in ("/orders", "/orders/status/pending", "/orders?min_total_amount=83000"):
        assert '"total_amount": 83000.00,' in client.get(path).text, path


def test_revenue_is_a_number_with_its_digits(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    assert '"total_revenue": 0.00}' in client.get("/orders/statistics").text

    for amount in ("999999999999.99", "0.02", "0.10"):
        order_id = place(client, total_amount=Decimal(amount))
        for command in ("add_item", "confirm_order", "ship_order"):
            send(client, command, order_id)
    show_everything(sessions)

    assert '"total_revenue": 1000000000000.11}' in client.get("/orders/statistics").text


def test_text_is_itself_in_the_bytes(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    given(sessions, PLACED, LAPTOP_ADDED, CANCELLED)

    for path in (f"/orders/{ORDER_ID}", "/orders", "/orders/status/cancelled"):
        raw = client.get(path).data
        assert "山田太郎".encode() in raw, path
        assert "顧客都合によるキャンセル".encode() in raw, path
        assert b"\\u" not in raw, path
    assert "ノートPC".encode() in client.get(f"/orders/{ORDER_ID}").data


def test_answers_are_plain_json_in_utf8(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    given(sessions, PLACED, LAPTOP_ADDED)

    for path in (f"/orders/{ORDER_ID}", "/orders", "/orders/status/pending", "/orders/statistics"):
        answer = client.get(path)
        assert answer.content_type == "application/json"
        assert json.loads(answer.data.decode("utf-8", errors="strict"))


def test_times_are_rfc3339_in_utc(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    for command in ((), ("cancel_order",), ("add_item", "confirm_order", "ship_order")):
        order_after(client, *command)
    show_everything(sessions)

    text = client.get("/orders").text
    times = re.findall(r'"[a-z]+_at": "([^"]+)"', text)
    assert len(times) == 3 + 1 + 2
    for time in times:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", time)
        assert abs(datetime.fromisoformat(time) - datetime.now(UTC)) < timedelta(minutes=1)


def test_newest_placed_comes_first(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    placed = [place(client) for _ in range(3)]
    send(client, "add_item", placed[0])  # being changed last does not count
    show_everything(sessions)

    for path in ("/orders", "/orders/status/pending"):
        assert [order["order_id"] for order in read(client.get(path))["orders"]] == placed[::-1]


def test_a_name_is_found_however_its_characters_are_composed(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    composed, decomposed = ("\u30acスコ", "\u00e9"), ("\u30ab\u3099スコ", "e\u0301")
    names = (*composed, *decomposed)
    placed = {name: place(client, customer_name=name) for name in (*names, "カスコ")}
    show_everything(sessions)

    for alike in zip(composed, decomposed, strict=True):
        for name in alike:
            for past in ({}, {"as_of": datetime.now(UTC).isoformat()}):
                found = read(client.get(f"/orders?{urlencode({'customer_name': name, **past})}"))["orders"]
                assert {order["order_id"]: order["customer_name"] for order in found} == {
                    placed[each]: each for each in alike
                }


def test_the_list_of_a_status_has_that_status_only(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    placed = {status: [order_in(client, status), order_in(client, status)] for status in STATUSES}
    show_everything(sessions)

    for status, order_ids in placed.items():
        orders = read(client.get(f"/orders/status/{status}"))["orders"]
        assert [order["order_id"] for order in orders] == order_ids[::-1]
        assert {order["status"] for order in orders} == {status}
        assert read(client.get(f"/orders?status={status}"))["orders"] == orders


def test_a_parked_order_is_asked_for_less_often(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = place(client)
    patience = Patience(attempts=2, first_pause=0)
    for seconds, parked in (("1", False), ("60", True)):  # the first failure is tried again, the second is not
        with sessions.begin() as session:
            record_failures(session, "details", [Failure(order_id, 1, ValueError())], patience)
        answer = client.get(f"/orders/{order_id}")
        detail = problem(answer, 503, "read-model-behind")["detail"]
        assert (answer.headers["Retry-After"], "parked" in detail) == (seconds, parked)


def test_an_unknown_status_is_not_found_and_the_four_are_named(client: FlaskClient) -> None:
    for word in ("lost", "Pending", "PENDING", "pending ", "保留", "%00", "'"):
        document = problem(client.get(f"/orders/status/{word}"), 404, "not-found")
        assert all(status in document["detail"] for status in STATUSES)


def test_lists_and_statistics_of_nothing_are_empty(client: FlaskClient) -> None:
    nothing: dict[str, Any] = {"orders": [], "next_cursor": None}
    for path in ("/orders", *(f"/orders/status/{status}" for status in STATUSES)):
        assert read(client.get(path)) == nothing
    assert read(client.get("/orders/statistics")) == {
        "total_count": 0,
        "pending_count": 0,
        "confirmed_count": 0,
        "shipped_count": 0,
        "cancelled_count": 0,
        "total_revenue": 0,
    }


def test_statistics_count_each_status_and_the_revenue_of_shipped_orders(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    amounts = {
        "pending": ["1.00", "2.00", "4.00", "8.00"],
        "confirmed": ["16.00", "32.00", "64.00"],
        "shipped": ["128.50", "256.00"],
        "cancelled": ["512.00"],
    }
    lives: dict[str, list[OrderEvent]] = {
        "pending": [],
        "confirmed": [LAPTOP_ADDED, CONFIRMED],
        "shipped": [LAPTOP_ADDED, CONFIRMED, SHIPPED],
        "cancelled": [LAPTOP_ADDED, CANCELLED],
    }
    for status, totals in amounts.items():
        for total in totals:
            placed = replace(PLACED, order_id=f"{status}-{total}", total_amount=Decimal(total))
            append(sessions, [placed, *lives[status]], order_id=placed.order_id)
    show_everything(sessions)

    assert read(client.get("/orders/statistics")) == {
        "total_count": 10,
        "pending_count": 4,
        "confirmed_count": 3,
        "shipped_count": 2,
        "cancelled_count": 1,
        "total_revenue": Decimal("384.50"),
    }


def test_an_order_may_have_any_id_that_needs_no_escaping(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_ids = ["ORDER-001", "status", "a.b_c~d-e", "0", "x" * 64]
    for order_id in order_ids:
        append(sessions, [replace(PLACED, order_id=order_id)], order_id=order_id)
    show_everything(sessions)

    for order_id in order_ids:
        assert read(client.get(f"/orders/{order_id}"))["order_id"] == order_id
        assert read(send(client, "add_item", order_id))["order_id"] == order_id


def test_details_follow_each_projected_event(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = place(client)
    show_everything(sessions)
    assert read(client.get(f"/orders/{order_id}"))["version"] == 1

    send(client, "add_item", order_id)
    assert read(client.get(f"/orders/{order_id}"))["version"] == 1  # stored, and shown once it is projected
    show_everything(sessions)

    details = read(client.get(f"/orders/{order_id}"))
    assert (details["version"], len(details["items"])) == (2, 1)


def test_head_answers_as_get_without_the_body(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    given(sessions, PLACED)

    for path in ("/orders", f"/orders/{ORDER_ID}", "/orders/statistics", "/orders/status/pending"):
        head, full = client.head(path), client.get(path)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == full.headers["Content-Length"] == str(len(full.data))
