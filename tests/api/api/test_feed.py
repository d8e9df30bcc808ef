"""The feed over HTTP: pages that follow one another, CloudEvents that others can read, and waiting for news."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
import simplejson
from cloudevents.core.formats.json import JSONFormat
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.api_keys import Scope
from core.event_sourcing.feed import START, encode
from tests.support.calls import COMMANDS, faults, order_in, problem, read, send
from tests.support.examples import CANCELLED, LATER, LIFE, NOON, ORDER_ID, PLACED
from tests.support.keys import Keys, bearing
from tests.support.read_side import append_placed, run, store
from tests.support.streams import append
from tests.support.waiting import wait_until
from webapp.api.events import BATCH
from webapp.api.waiting import FEED_RECHECK_SECONDS, FEED_WAITS, MOST_FEED_WAITS

Sessions = sessionmaker[Session]


def follow(client: FlaskClient, query: str = "", after: str = encode(START)) -> Iterator[dict[str, Any]]:
    """Every event to the end of the log, by `next_cursor`."""
    while True:
        page = read(client.get(f"/events?after={after}&{query}"))
        yield from page["events"]
        if page["next_cursor"] == after:
            assert page["events"] == []
            return
        after = page["next_cursor"]


def ids(client: FlaskClient, query: str = "", after: str = encode(START)) -> list[str]:
    return [event["id"] for event in follow(client, query, after)]


def test_pages_lead_from_one_to_the_next(client: FlaskClient, sessions: Sessions) -> None:
    append(sessions, LIFE)
    append_placed(sessions, "ORDER-002")
    everything = [*(f"{ORDER_ID}/{version}" for version in range(1, 6)), "ORDER-002/1"]

    for limit in (1, 4, 6, 1000):
        assert ids(client, f"limit={limit}") == everything
    answer = client.get("/events?limit=2&type=OrderPlaced&type=OrderShipped")
    assert [event["id"] for event in read(answer)["events"]] == [f"{ORDER_ID}/1", f"{ORDER_ID}/5"]
    path, _, rel = answer.headers["Link"].partition("; ")
    assert rel == 'rel="next"'
    assert [event["id"] for event in read(client.get(path.strip("<>")))["events"]] == ["ORDER-002/1"]


def test_an_event_is_a_cloud_event_that_others_can_read(client: FlaskClient, sessions: Sessions) -> None:
    sent = {"X-Request-Id": "shop-17"}
    order_id = read(send(client, "place_order", "", sent))["order_id"]
    append(sessions, [CANCELLED], order_id=order_id, after=1)  # by no request

    placed, cancelled = read(client.get("/events"))["events"]

    assert (placed["id"], placed["source"], placed["subject"]) == (f"{order_id}/1", "/orders", order_id)
    assert (placed["type"], placed["orderversion"], placed["correlationid"]) == ("OrderPlaced", 1, "shop-17")
    assert (placed["actor"], len(placed["causationid"])) == ("anonymous", 36)
    assert "actor" not in cancelled
    assert cancelled["time"] == "2026-01-01T12:00:00Z"
    for event in (placed, cancelled):
        others = JSONFormat().read(None, simplejson.dumps(event, use_decimal=True))
        assert others.get_data() == json.loads(json.dumps(event["data"], default=float))
        assert others.get_extension("position") == event["position"]


@pytest.mark.parametrize("event", [*LIFE, CANCELLED])
def test_every_event_is_one(client: FlaskClient, sessions: Sessions, event: Any) -> None:
    append(sessions, [event])

    [told] = read(client.get("/events"))["events"]

    assert JSONFormat().read(None, simplejson.dumps(told, use_decimal=True)).get_type() == type(event).__name__


def test_amounts_are_exact_numbers_and_text_is_as_it_was(client: FlaskClient) -> None:
    text = '"total_amount": "1.00" \\ 山田\u2028太郎 𠮷 "'
    client.post("/orders", json={**COMMANDS["place_order"][1], "customer_name": text, "total_amount": 999999999999.99})

    answer = client.get("/events")

    data = read(answer)["events"][0]["data"]
    assert (data["customer_name"], data["total_amount"]) == (text, Decimal("999999999999.99"))
    assert b'"total_amount": 999999999999.99' in answer.data


@pytest.mark.parametrize(
    ("accept", "media_type"),
    {
        "": "application/json",
        "*/*": "application/json",
        "application/*": "application/json",
        BATCH: BATCH,
        f"application/json;q=0.5, {BATCH}": BATCH,
        f"application/json, {BATCH};q=0.9": "application/json",
        "text/html": "application/json",
    }.items(),
)
def test_accept_chooses_the_form(client: FlaskClient, sessions: Sessions, accept: str, media_type: str) -> None:
    append(sessions, LIFE)

    answer = client.get("/events?limit=2", headers={"Accept": accept} if accept else {})

    assert answer.content_type == media_type
    assert answer.headers["Vary"] == "Accept"
    document = json.loads(answer.data)
    events = document if media_type == BATCH else document["events"]
    assert [event["orderversion"] for event in events] == [1, 2]
    path = answer.headers["Link"].partition(">")[0].strip("<")
    assert [event["orderversion"] for event in read(client.get(path))["events"]] == [3, 4]


def test_filters_combine(client: FlaskClient, sessions: Sessions) -> None:
    append(sessions, LIFE)
    append(sessions, [PLACED], order_id="ORDER-002", occurred_at=LATER)
    later = LATER.strftime("%Y-%m-%dT%H:%M:%SZ")

    assert ids(client, f"order_id={ORDER_ID}&type=OrderShipped&type=OrderPlaced") == [f"{ORDER_ID}/1", f"{ORDER_ID}/5"]
    assert ids(client, f"from={later}") == ["ORDER-002/1"]
    assert ids(client, f"to={later}&type=OrderConfirmed") == [f"{ORDER_ID}/4"]
    assert ids(client, "order_id=ORDER-404") == []


REFUSED = {
    "after=x": "#/after",
    "after=": "#/after",
    "limit=0": "#/limit",
    "limit=1001": "#/limit",
    "limit=9999999": "#/limit",
    "type=OrderRefunded": "#/type/0",
    "type=OrderPlaced&type=": "#/type/1",
    "order_id=": "#/order_id",
    "order_id=a/b": "#/order_id",
    "from=today": "#/from",
    "to=2026-01-01": "#/to",
    "since=2026-01-01T00:00:00Z": "#/since",
    "order_id=a&order_id=b": "#/order_id",
    "&".join(["type=OrderPlaced"] * 101): "#",
}


@pytest.mark.parametrize(("query", "pointer"), REFUSED.items(), ids=[query[:40] for query in REFUSED])
def test_what_is_wrong_is_refused_by_name(client: FlaskClient, query: str, pointer: str) -> None:
    assert list(faults(client.get(f"/events?{query}"))) == [pointer]


def test_a_cursor_of_a_log_that_is_no_more_is_gone(client: FlaskClient, sessions: Sessions) -> None:
    append(sessions, LIFE)
    cursor = read(client.get("/events?limit=3"))["next_cursor"]
    run(sessions, "ALTER TABLE events DISABLE TRIGGER USER", "DELETE FROM events WHERE version >= 3")

    told = problem(client.get(f"/events?after={cursor}"), 410, "cursor-of-another-log")

    assert "a backup from before it was restored" in told["detail"]
    assert "without `after`" in client.get(told["type"]).text


def test_an_event_of_a_later_release_is_never_skipped(client: FlaskClient, sessions: Sessions) -> None:
    append(sessions, [PLACED])
    store(sessions, ORDER_ID, 2, "OrderRefunded")

    assert ids(client, "limit=1&type=OrderPlaced") == [f"{ORDER_ID}/1"]
    cursor = read(client.get("/events?limit=1"))["next_cursor"]
    answer = client.get(f"/events?after={cursor}")
    problem(answer, 503, "event-unknown")
    assert answer.headers["Retry-After"]


def test_following_needs_its_own_scope(guarded: FlaskClient, keys: Keys) -> None:
    orders = keys.create(Scope.ORDERS_READ, Scope.ORDERS_WRITE).text
    events = keys.create(Scope.EVENTS_READ).text

    assert problem(guarded.get("/events", headers=bearing(orders)), 403, "scope-required")["needed_scope"] == (
        "events:read"
    )
    assert read(guarded.get("/events", headers=bearing(events)))["events"] == []
    problem(guarded.get("/orders", headers=bearing(events)), 403, "scope-required")


# Waiting for news.

WAIT = {"Prefer": "wait=10"}


def test_an_empty_page_waits_for_news_that_no_worker_projects(client: FlaskClient, sessions: Sessions) -> None:
    append(sessions, [PLACED])
    cursor = read(client.get("/events"))["next_cursor"]
    waits = client.application.extensions[FEED_WAITS]
    with ThreadPoolExecutor(1) as thread:
        other = client.application.test_client()
        waiting = thread.submit(other.get, f"/events?after={cursor}&type=OrderPlaced", headers=WAIT)
        wait_until(lambda: waits._waiting)
        append(sessions, LIFE[1:], after=1)  # of other types
        append_placed(sessions, "ORDER-002")
        committed = time.monotonic()
        page = read(waiting.result())

    assert [event["id"] for event in page["events"]] == ["ORDER-002/1"]
    assert time.monotonic() - committed < FEED_RECHECK_SECONDS + 5  # far from the ten seconds it might have waited
    assert ids(client, after=page["next_cursor"]) == []


def test_a_wait_ends_with_a_cursor_that_has_moved(client: FlaskClient, sessions: Sessions) -> None:
    append(sessions, LIFE)

    asked = time.monotonic()
    page = read(client.get("/events?type=OrderCancelled", headers={"Prefer": "wait=1"}))

    assert time.monotonic() - asked >= 1
    assert page["events"] == []
    assert ids(client, after=page["next_cursor"]) == []


def test_what_is_there_is_not_waited_for(client: FlaskClient, sessions: Sessions) -> None:
    append(sessions, [PLACED])

    asked = time.monotonic()
    assert len(read(client.get("/events", headers=WAIT))["events"]) == 1
    assert time.monotonic() - asked < 5


def test_followers_that_wait_leave_threads_to_others(client: FlaskClient, sessions: Sessions) -> None:
    waits = client.application.extensions[FEED_WAITS]
    with ThreadPoolExecutor(MOST_FEED_WAITS) as threads:
        others = [client.application.test_client() for _ in range(MOST_FEED_WAITS)]
        waiting = [threads.submit(other.get, f"/events?after={encode(START)}", headers=WAIT) for other in others]
        wait_until(lambda: sum(map(len, list(waits._waiting.values()))) == MOST_FEED_WAITS)

        asked = time.monotonic()
        assert read(client.get("/events", headers=WAIT)) == {"events": [], "next_cursor": encode(START)}
        assert time.monotonic() - asked < 5
        append_placed(sessions, "ORDER-001")

        assert {len(read(each.result())["events"]) for each in waiting} == {1}


# The past of one order by the same words.


def test_an_orders_own_events_go_on_after_a_version(client: FlaskClient) -> None:
    order_id = order_in(client, "shipped")

    def versions(query: str) -> list[int]:
        return [entry["version"] for entry in read(client.get(f"/orders/{order_id}/events?{query}"))["events"]]

    assert versions("") == versions("after=0") == [1, 2, 3, 4]
    assert versions("after=1&limit=2") == [2, 3]
    assert versions("after=4") == []
    assert versions("after=1&cursor=2") == [3, 4]
    for wrong in ("", "-1", "01", "one", "1" * 19):
        assert list(faults(client.get(f"/orders/{order_id}/events?after={wrong}"))) == ["#/after"]


def test_the_time_of_an_event_is_the_one_it_happened_at(client: FlaskClient, sessions: Sessions) -> None:
    append(sessions, [PLACED], occurred_at=NOON.replace(microsecond=7))

    assert read(client.get("/events"))["events"][0]["time"] == "2026-01-01T12:00:00.000007Z"
