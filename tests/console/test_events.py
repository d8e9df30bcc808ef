"""The log as a page: newest first, filtered, turned in both directions, jumped into by time."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing import feed
from tests.support.calls import place
from tests.support.console import EVENTS, NEXT, PREVIOUS, follow
from tests.support.examples import LATER, LIFE, NOON, ORDER_ID, PLACED
from tests.support.read_side import append_placed, place_many, store
from tests.support.streams import append
from webapp.console.events import PER_PAGE

Sessions = sessionmaker[Session]


def found(client: FlaskClient, query: str = "") -> list[int]:
    """The positions that the page shows, in its order."""
    answer = client.get(f"/console/events?{query}")
    assert answer.status_code == 200
    return positions(answer.text)


def positions(page: str) -> list[int]:
    return [int(position) for position in EVENTS.findall(page)]


def test_pages_turn_back_in_time_and_forth(client: FlaskClient, sessions: Sessions) -> None:
    last = 2 * PER_PAGE + 5
    place_many(sessions, last)
    first = client.get("/console/events").text
    second = follow(client, first, NEXT)
    third = follow(client, second, NEXT)

    assert positions(first) == list(range(last, last - PER_PAGE, -1))
    assert positions(second) == list(range(last - PER_PAGE, 5, -1))
    assert positions(third) == [5, 4, 3, 2, 1]
    assert not NEXT.search(third)
    assert not PREVIOUS.search(first)
    assert positions(follow(client, third, PREVIOUS)) == positions(second)
    assert positions(follow(client, follow(client, third, PREVIOUS), PREVIOUS)) == positions(first)


def test_only_the_newest_page_is_live(client: FlaskClient, sessions: Sessions) -> None:
    place_many(sessions, PER_PAGE + 1)
    first = client.get("/console/events").text

    assert 'id="log" class="column" data-live' in first
    assert "data-pause" in first
    second = follow(client, first, NEXT)
    assert 'id="log" class="column"' in second
    assert "data-pause" not in second


def test_filters_find_by_type_order_time_and_correlation(client: FlaskClient, sessions: Sessions) -> None:
    append(sessions, LIFE)
    append(sessions, [PLACED], order_id="ORDER-002", occurred_at=LATER)
    client.post("/orders", json={"customer_name": "x", "total_amount": 1}, headers={"X-Request-Id": "from-the-shop"})

    assert found(client) == [7, 6, 5, 4, 3, 2, 1]
    assert found(client, "type=OrderPlaced") == [7, 6, 1]
    assert found(client, f"order={ORDER_ID}") == [5, 4, 3, 2, 1]
    assert found(client, f"order={ORDER_ID}&type=OrderShipped") == [5]
    assert found(client, "from=2026-01-01T12:05&to=2026-01-01T12:06") == [6]
    assert found(client, "correlation=from-the-shop") == [7]
    assert found(client, "order=ORDER-404") == []
    assert "No event matches." in client.get("/console/events?order=ORDER-404").text


def test_a_time_is_jumped_to_and_left_in_both_directions(client: FlaskClient, sessions: Sessions) -> None:
    for number in range(5):
        append(sessions, [PLACED], order_id=f"ORDER-{number}", occurred_at=NOON + timedelta(hours=number))

    page = client.get("/console/events?at=2026-01-01T14:30").text
    assert positions(page) == [3, 2, 1]
    assert positions(follow(client, page, PREVIOUS)) == [5, 4, 3, 2, 1]
    assert found(client, "at=2030-01-01T00:00") == [5, 4, 3, 2, 1]
    before_all = client.get("/console/events?at=2020-01-01T00:00").text
    assert positions(before_all) == []
    assert positions(follow(client, before_all, PREVIOUS)) == [5, 4, 3, 2, 1]


def test_a_rare_event_is_looked_for_page_by_page(
    client: FlaskClient, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(sessions, LIFE)
    place_many(sessions, 20)
    monkeypatch.setattr(feed, "MOST_LOOKED_AT", 15)

    page = client.get("/console/events?type=OrderShipped").text

    assert "None of the events that were looked at here matches." in page
    assert positions(follow(client, page, NEXT)) == [5]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("type=Nonsense", "Choose a type of the list."),
        ("order=%00", "Write an order&#39;s whole id."),
        ("correlation=%00", "Write a correlation id as an event shows it."),
        ("at=yesterday", "Write a time such as 2026-01-31T09:00."),
        ("after=nonsense", "This link is broken; here are the newest events."),
        ("before=nonsense", "This link is broken; here are the newest events."),
        (f"after={feed.encode(feed.Cursor(1, 5, 9, '0' * 16))}", "This link is broken; here are the newest events."),
    ],
)
def test_what_cannot_be_read_is_told(client: FlaskClient, sessions: Sessions, query: str, said: str) -> None:
    append_placed(sessions, ORDER_ID)

    answer = client.get(f"/console/events?{query}")

    assert answer.status_code == 200
    assert said in answer.text
    assert positions(answer.text) == ([1] if "link is broken" in said else [])


def test_an_event_tells_who_what_and_where(client: FlaskClient) -> None:
    order_id = place(client)

    page = client.get("/console/events?lang=en").text

    assert "Order placed for" in page
    assert re.search(rf'href="/console/orders/{order_id}\?version=1"', page)
    assert "by anonymous" in page
    assert "&#34;event_type&#34;: &#34;OrderPlaced&#34;" in page
    assert "の注文を受け付けました。" in client.get("/console/events?lang=ja").text


def test_an_event_that_cannot_be_read_is_shown_as_it_is_stored(client: FlaskClient, sessions: Sessions) -> None:
    store(sessions, ORDER_ID, 1, "OrderLost", {"why": "<b>unknown</b>"})
    store(sessions, "ORDER-002", 1, "OrderPlaced", {"nothing": "of use"})

    page = client.get("/console/events").text

    assert page.count("This release cannot read this event of the type") == 2
    assert "&lt;b&gt;unknown&lt;/b&gt;" in page
    assert "of use" in page
