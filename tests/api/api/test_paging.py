"""Lists come in pages that neither skip nor repeat, and filters that combine."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing.event_store import NewEvent
from core.event_sourcing.postgres_store import PostgresEventStore
from core.orders.events import OrderEvent
from core.projection.project import project
from core.read_models.wiring import PROJECTORS
from tests.support.calls import faults, place, read, send, show_everything
from tests.support.examples import CANCELLED, CONFIRMED, LAPTOP_ADDED, NOON, PLACED, SHIPPED
from tests.support.streams import append

LATER_EVENTS: dict[str, list[OrderEvent]] = {
    "pending": [],
    "confirmed": [LAPTOP_ADDED, CONFIRMED],
    "shipped": [LAPTOP_ADDED, CONFIRMED, SHIPPED],
    "cancelled": [CANCELLED],
}


def append_order(
    sessions: sessionmaker[Session],
    order_id: str,
    *,
    placed_at: datetime = NOON,
    status: str = "pending",
    customer_name: str = "山田太郎",
    total_amount: str = "100.00",
) -> None:
    placed = replace(
        PLACED,
        order_id=order_id,
        placed_at=placed_at,
        customer_name=customer_name,
        total_amount=Decimal(total_amount),
    )
    append(sessions, [placed, *LATER_EVENTS[status]], order_id=order_id)


def get(client: FlaskClient, path: str = "/orders", /, **query: object) -> Any:
    answer = client.get(f"{path}?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    page = read(answer)
    assert set(page) == {"orders", "next_cursor"}
    return page


def ids(page: Any) -> list[str]:
    return [order["order_id"] for order in page["orders"]]


def pages(client: FlaskClient, path: str = "/orders", /, **query: object) -> Iterator[list[str]]:
    """The ids on each page, following the cursors to the end; asks for a page only when it is wanted."""
    page = get(client, path, **query)
    yield ids(page)
    while page["next_cursor"] is not None:
        page = get(client, path, **query, cursor=page["next_cursor"])
        yield ids(page)


def test_pages_have_the_asked_length_and_the_last_has_no_cursor(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    for n in range(6):
        append_order(sessions, f"ORDER-{n}", placed_at=NOON + timedelta(seconds=n))
    show_everything(sessions)

    newest_first = [f"ORDER-{n}" for n in reversed(range(6))]
    assert list(pages(client, limit=4)) == [newest_first[:4], newest_first[4:]]
    assert list(pages(client, limit=3)) == [newest_first[:3], newest_first[3:]]  # no empty page at the end
    assert list(pages(client, limit=1)) == [[order_id] for order_id in newest_first]
    assert list(pages(client, limit=6)) == [newest_first]
    assert list(pages(client, limit=200)) == [newest_first]
    assert list(pages(client, "/orders/status/pending", limit=4)) == [newest_first[:4], newest_first[4:]]


def test_a_page_has_50_orders_unless_asked_and_200_at_most(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    with sessions.begin() as session:
        for n in range(201):
            placed = replace(PLACED, order_id=f"ORDER-{n}")
            PostgresEventStore(driver_connection(session)).append(
                placed.order_id, 0, [NewEvent(event=placed, occurred_at=NOON)]
            )
    for projector in PROJECTORS.values():
        project(sessions, projector, [f"ORDER-{n}" for n in range(201)])

    assert [len(page) for page in pages(client)] == [50, 50, 50, 50, 1]
    assert [len(page) for page in pages(client, limit=200)] == [200, 1]


def test_orders_placed_at_the_same_time_keep_one_order_across_pages(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    for n in (3, 1, 4, 0, 2):
        append_order(sessions, f"ORDER-{n}")
    show_everything(sessions)

    for limit in (1, 2, 3, 5):
        walked = [order_id for page in pages(client, limit=limit) for order_id in page]
        assert walked == ["ORDER-4", "ORDER-3", "ORDER-2", "ORDER-1", "ORDER-0"], limit


def test_times_that_differ_by_a_microsecond_are_told_apart(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    for n in range(5):
        append_order(sessions, f"ORDER-{n}", placed_at=NOON + timedelta(microseconds=n))
    show_everything(sessions)

    assert list(pages(client, limit=1)) == [[f"ORDER-{n}"] for n in (4, 3, 2, 1, 0)]


def test_pages_neither_skip_nor_repeat_while_orders_arrive(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    before = [place(client) for _ in range(7)]
    show_everything(sessions)

    walked: list[list[str]] = []
    for page in pages(client, limit=2):
        walked.append(page)
        for _ in range(3):
            place(client)
        show_everything(sessions)

    newest_first = before[::-1]
    assert walked == [newest_first[:2], newest_first[2:4], newest_first[4:6], newest_first[6:]]
    assert len(get(client, limit=200)["orders"]) == 7 + 4 * 3


def test_pages_do_not_skip_while_orders_leave_the_status(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    """With OFFSET, every order that leaves moves another from the next page to one that was already read."""
    pending = [place(client) for _ in range(6)]
    show_everything(sessions)

    walked: list[str] = []
    for page in pages(client, "/orders/status/pending", limit=2):
        walked += page
        for order_id in page:
            send(client, "cancel_order", order_id)
        show_everything(sessions)

    assert walked == pending[::-1]
    assert get(client, status="pending")["orders"] == []


def test_the_order_a_cursor_names_may_be_gone(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    for n in range(4):
        append_order(sessions, f"ORDER-{n}", placed_at=NOON + timedelta(seconds=n), customer_name="佐藤花子")
    show_everything(sessions)
    page = get(client, limit=2, status="pending")

    send(client, "cancel_order", ids(page)[-1])
    show_everything(sessions)

    assert ids(get(client, limit=2, status="pending", cursor=page["next_cursor"])) == ["ORDER-1", "ORDER-0"]


def test_a_cursor_of_another_list_goes_on_from_the_same_place(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    for n in range(6):
        status = "shipped" if n % 2 else "pending"
        append_order(sessions, f"ORDER-{n}", placed_at=NOON + timedelta(seconds=n), status=status)
    show_everything(sessions)
    cursor = get(client, limit=2)["next_cursor"]  # after ORDER-5 and ORDER-4

    assert ids(get(client, cursor=cursor, status="shipped")) == ["ORDER-3", "ORDER-1"]
    assert ids(get(client, "/orders/status/pending", cursor=cursor, limit=1)) == ["ORDER-2"]


def test_a_cursor_is_opaque_and_safe_in_a_url(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    for order_id in ("a.b_c~d-e", "ORDER-001", "x" * 64):
        append_order(sessions, order_id)
    show_everything(sessions)

    for limit in (1, 2):
        cursor = get(client, limit=limit)["next_cursor"]
        assert cursor.replace("-", "").replace("_", "").isalnum()
        assert cursor.isascii()


# Name, placed so many hours after noon, status, total amount.
DATASET = [
    ("山田太郎", 0, "pending", "100.00"),
    ("山田太郎", 1, "shipped", "99.99"),
    ("山田", 2, "pending", "100.01"),
    ("山田太郎 ", 3, "cancelled", "5000.00"),
    ("Bob", 4, "confirmed", "0.01"),
    ("bob", 5, "pending", "250.00"),
    ("100%", 6, "shipped", "100.00"),
    ("1000", 6, "pending", "250.50"),
    ("B_b", 7, "shipped", "999999999999.99"),
    ("山田太郎", 8, "pending", "5000.00"),
]
Order = tuple[str, int, str, str]


def at(hours: float) -> str:
    return (NOON + timedelta(hours=hours)).isoformat()


FILTERS: dict[str, tuple[dict[str, object], Callable[[Order], bool]]] = {
    "status": ({"status": "shipped"}, lambda o: o[2] == "shipped"),
    "name": ({"customer_name": "山田太郎"}, lambda o: o[0] == "山田太郎"),
    "a name with a blank": ({"customer_name": "山田太郎 "}, lambda o: o[0] == "山田太郎 "),
    "name in its case": ({"customer_name": "bob"}, lambda o: o[0] == "bob"),
    "a percent sign": ({"customer_name": "100%"}, lambda o: o[0] == "100%"),
    "an underscore": ({"customer_name": "B_b"}, lambda o: o[0] == "B_b"),
    "a part of a name": ({"customer_name": "田太"}, lambda o: False),
    "a quote": ({"customer_name": "' OR '1'='1"}, lambda o: False),
    "from is included": ({"placed_from": at(6)}, lambda o: o[1] >= 6),
    "to is not": ({"placed_to": at(6)}, lambda o: o[1] < 6),
    "half-open": ({"placed_from": at(2), "placed_to": at(6)}, lambda o: 2 <= o[1] < 6),
    "an instant": ({"placed_from": at(2), "placed_to": at(2)}, lambda o: False),
    "to before from": ({"placed_from": at(6), "placed_to": at(2)}, lambda o: False),
    "Japan's time": ({"placed_from": "2026-01-01T23:00:00+09:00"}, lambda o: o[1] >= 2),
    "Z": ({"placed_to": "2026-01-01T14:00:00Z"}, lambda o: o[1] < 2),
    "small letters": ({"placed_to": "2026-01-01t14:00:00z"}, lambda o: o[1] < 2),
    "a fraction": ({"placed_from": "2026-01-01T13:59:59.999999Z"}, lambda o: o[1] >= 2),
    "the shortest after": ({"placed_from": "2026-01-01T14:00:00.000001Z"}, lambda o: o[1] > 2),
    ".NET's seven digits": ({"placed_from": "2026-01-01T14:00:00.0000000Z"}, lambda o: o[1] >= 2),
    "Go's nine, cut": ({"placed_from": "2026-01-01T23:00:00.000000999+09:00"}, lambda o: o[1] >= 2),
    "a hundred digits": ({"placed_from": f"2026-01-01t14:00:00.{'0' * 100}z"}, lambda o: o[1] >= 2),
    "one digit": ({"placed_to": "2026-01-01T14:00:00.1-00:00"}, lambda o: o[1] <= 2),
    "a leap second": ({"placed_from": "2026-01-01T08:59:60+09:00"}, lambda o: True),
    ".NET's last time": ({"placed_to": "9999-12-31T23:59:59.9999999+00:00"}, lambda o: True),
    "the first year": ({"placed_from": "0001-01-01T00:00:00Z"}, lambda o: True),
    "the last year": ({"placed_from": "9999-12-31T23:59:59Z"}, lambda o: False),
    "amount": ({"min_total_amount": 250}, lambda o: Decimal(o[3]) >= 250),
    "an exact amount": ({"min_total_amount": "250.50"}, lambda o: Decimal(o[3]) >= Decimal("250.50")),
    "amount from nothing": ({"min_total_amount": 0}, lambda o: True),
    "the largest amount": ({"min_total_amount": "999999999999.99"}, lambda o: o[0] == "B_b"),
    "name and status": (
        {"customer_name": "山田太郎", "status": "pending"},
        lambda o: o[0] == "山田太郎" and o[2] == "pending",
    ),
    "status, time and amount": (
        {"status": "shipped", "placed_from": at(1), "placed_to": at(7), "min_total_amount": "99.99"},
        lambda o: o[2] == "shipped" and 1 <= o[1] < 7 and Decimal(o[3]) >= Decimal("99.99"),
    ),
    "all of them": (
        {
            "status": "pending",
            "customer_name": "山田太郎",
            "placed_from": at(0),
            "placed_to": at(8),
            "min_total_amount": 100,
        },
        lambda o: o == DATASET[0],
    ),
}


def test_filters_find_exactly_what_they_say(
    client: FlaskClient, sessions: sessionmaker[Session], subtests: pytest.Subtests
) -> None:
    for n, (name, hours, status, amount) in enumerate(DATASET):
        placed_at = NOON + timedelta(hours=hours)
        append_order(
            sessions, f"ORDER-{n}", placed_at=placed_at, status=status, customer_name=name, total_amount=amount
        )
    show_everything(sessions)

    for what, (query, matches) in FILTERS.items():
        with subtests.test(what):
            expected = [f"ORDER-{n}" for n in reversed(range(len(DATASET))) if matches(DATASET[n])]
            assert ids(get(client, **query)) == expected
            assert [order_id for page in pages(client, limit=1, **query) for order_id in page] == expected
            if "status" in query:
                others = {name: value for name, value in query.items() if name != "status"}
                assert ids(get(client, f"/orders/status/{query['status']}", **others)) == expected


WRONG: dict[str, list[str]] = {
    "limit": ["0", "201", "-1", "1.5", "1e2", "", " ", "ten", "٣", "+5", "9" * 5000, "null", "\x00"],
    "status": ["", "lost", "Pending", "pending,shipped", "保留", "\x00"],
    "customer_name": ["", "   ", "名" * 201, "a\x00b", "\u3000"],
    "placed_from": ["", "today", "2026-01-01", "2026-01-01T12:00:00", "2026-13-01T12:00:00Z", "1767268800"],
    "placed_to": [
        "2026-02-30T12:00:00Z",
        "2026-01-01T24:00:01Z",
        "2026-01-01 12:00:00Z",
        "2026-01-01T12:00:00 09:00",  # a plus sign that was not escaped
        "2026-01-01T12:00:00+25:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+09:00",
        "9999-12-31T23:59:59-09:00",
        "٢٠٢٦-01-01T12:00:00Z",
        "2026-W01-1T12:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T12:00:60Z",  # leap seconds are added at midnight
        "2026-01-01T12:00:61Z",
        "2026-01-01T12:00:00.Z",
        "2026-01-01T12:00:00,5Z",
        "2026-01-01T12:00:00+01:60",
        "9" * 5000,
    ],
    "min_total_amount": [
        "",
        "-1",
        "-0.01",
        "NaN",
        "Infinity",
        "1e3",
        "1,000",
        "1.001",
        "0x10",
        "١",
        "1000000000000",
        "9" * 30,
        "9" * 5000,
        "true",
    ],
    "cursor": ["", "0", "null", "abc", "%%%", "A" * 5000, "WzFd", "bnVsbA", "\x00", "山田"],
}


def test_wrong_parameters_are_refused_by_name(client: FlaskClient, subtests: pytest.Subtests) -> None:
    for name, values in WRONG.items():
        for path in ("/orders", "/orders/status/pending"):
            if name == "status" and path != "/orders":
                continue
            for value in values:
                with subtests.test(f"{path}?{name}={value[:40]}"):
                    assert list(faults(client.get(f"{path}?{urlencode({name: value})}"))) == [f"#/{name}"]


def test_every_wrong_parameter_is_named_at_once(client: FlaskClient) -> None:
    query = (
        "limit=0&status=lost&placed_from=today&placed_to=never&min_total_amount=-1&cursor=x&customer_name=%20&page=2"
    )

    assert set(faults(client.get(f"/orders?{query}"))) == {
        "#/limit",
        "#/status",
        "#/placed_from",
        "#/placed_to",
        "#/min_total_amount",
        "#/cursor",
        "#/customer_name",
        "#/page",
    }


def test_a_parameter_given_twice_is_refused_beside_the_other_faults(client: FlaskClient) -> None:
    assert list(faults(client.get("/orders?limit=5&limit=6"))) == ["#/limit"]
    assert set(faults(client.get("/orders?limit=5&limit=6&status=lost&page=1"))) == {"#/limit", "#/status", "#/page"}


def test_parameters_of_no_use_are_refused(client: FlaskClient) -> None:
    assert list(faults(client.get("/orders?page=2"))) == ["#/page"]
    assert list(faults(client.get("/orders/status/pending?status=shipped"))) == ["#/status"]
    assert list(faults(client.get("/orders/statistics?limit=1"))) == ["#/limit"]
    assert list(faults(client.get("/orders/ORDER-001?limit=1"))) == ["#/limit"]


def forged(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(parts)).encode()).decode().rstrip("=")


@pytest.fixture
def made_here(client: FlaskClient, sessions: sessionmaker[Session]) -> str:
    """A cursor that the API gave out."""
    for n in range(2):
        append_order(sessions, f"ORDER-{n}", placed_at=NOON + timedelta(seconds=n))
    show_everything(sessions)
    return str(get(client, limit=1)["next_cursor"])


def test_cursors_that_the_api_did_not_make_are_refused(
    client: FlaskClient, made_here: str, subtests: pytest.Subtests
) -> None:
    time = NOON.isoformat()
    assert ids(get(client, cursor=made_here)) == ["ORDER-0"]
    for cursor in (
        made_here[:-1],
        made_here[:-4],
        made_here + "A",
        made_here + "=",
        made_here.swapcase(),
        f" {made_here}",
        f"{made_here}\n",
        forged(),
        forged(time),
        forged(time, "ORDER-1", 1),
        forged(time, 1),
        forged(time, None),
        forged(time, ""),
        forged(time, "a/b"),
        forged(time, "x" * 65),
        forged(time, "a\x00"),
        forged(time, "' OR 1=1"),
        forged(0, "ORDER-1"),
        forged(None, "ORDER-1"),
        forged("now", "ORDER-1"),
        forged("2026-01-01T12:00:00", "ORDER-1"),
        forged("2026-01-01", "ORDER-1"),
        forged("2026-01-01T12:00:00+09:00", "ORDER-1"),
        forged("2026-01-01T12:00:00+23:59", "ORDER-1"),
        forged("2026-01-01T12:00:00+00:00:00.000001", "ORDER-1"),
        forged("0001-01-01T00:00:00+23:59", "ORDER-1"),
        forged("9999-12-31T23:59:59.999999-23:59", "ORDER-1"),
        base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("="),
        base64.urlsafe_b64encode(b"\xff\xfe").decode().rstrip("="),
        base64.urlsafe_b64encode(b'{"a": 1, "b": 2}').decode().rstrip("="),
        base64.urlsafe_b64encode(b"9" * 5000).decode().rstrip("="),
    ):
        with subtests.test(cursor[:60]):
            assert list(faults(client.get(f"/orders?{urlencode({'cursor': cursor})}"))) == ["#/cursor"]
