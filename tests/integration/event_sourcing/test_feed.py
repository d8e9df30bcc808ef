"""The feed: every settled event once, in an order that never changes, and cursors that go on exactly or are refused."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing import feed
from core.event_sourcing.event_store import NewEvent
from core.event_sourcing.feed import (
    EVERYTHING,
    START,
    Cursor,
    CursorOfAnotherLog,
    FeedFilter,
    FeedPage,
    decode,
    encode,
    first_later,
    read_back,
    read_feed,
)
from core.event_sourcing.postgres_store import stores
from core.orders.errors import InvalidValue
from tests.support.cost import pages_read
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, LATER, LIFE, NOON, ORDER_ID, PLACED
from tests.support.read_side import append_placed, place_many, run, value
from tests.support.streams import append

Sessions = sessionmaker[Session]


def read(sessions: Sessions, after: Cursor = START, limit: int = 100, matching: FeedFilter = EVERYTHING) -> FeedPage:
    with sessions.begin() as session:
        return read_feed(driver_connection(session), after, limit, matching)


def read_all(sessions: Sessions, after: Cursor = START, limit: int = 2, matching: FeedFilter = EVERYTHING) -> list[str]:
    """What a follower reads page by page, as order/version."""
    told: list[str] = []
    while True:
        page = read(sessions, after, limit, matching)
        told += names(page)
        after = decode(encode(page.next_cursor))
        if page.at_end:
            return told


def names(page: FeedPage) -> list[str]:
    return [f"{event.order_id}/{event.version}" for event in page.events]


def test_pages_follow_one_another_to_the_end(sessions: Sessions) -> None:
    append(sessions, LIFE)
    append_placed(sessions, "ORDER-002")

    first = read(sessions, limit=4)
    second = read(sessions, first.next_cursor, limit=4)

    assert [event.recorded.event for event in first.events] == LIFE[:4]
    assert not first.at_end
    assert names(second) == [f"{ORDER_ID}/5", "ORDER-002/1"]
    assert second.at_end
    assert read(sessions, second.next_cursor) == FeedPage([], second.next_cursor, True)


def test_an_empty_log_gives_a_cursor_from_which_all_that_comes_is_read(sessions: Sessions) -> None:
    empty = read(sessions)
    append(sessions, [PLACED])

    assert empty == FeedPage([], START, True)
    assert read_all(sessions, empty.next_cursor) == [f"{ORDER_ID}/1"]


def test_each_event_has_the_cursor_from_which_the_next_one_follows(sessions: Sessions) -> None:
    append(sessions, LIFE)
    page = read(sessions)

    for number, event in enumerate(page.events, start=1):
        assert names(read(sessions, event.cursor)) == names(page)[number:]
    assert sorted(event.cursor for event in page.events) == [event.cursor for event in page.events]


@pytest.mark.parametrize("end", [Session.commit, Session.rollback], ids=["it commits", "it rolls back"])
def test_nothing_after_an_open_transaction_is_given_out_before_it_ends(
    sessions: Sessions, end: Callable[[Session], None]
) -> None:
    append_placed(sessions, "ORDER-000")
    with sessions() as slow:
        slow.execute(text("SELECT pg_current_xact_id()"))
        append_placed(sessions, "ORDER-002")  # not held up by those who read, nor by the open transaction
        page = read(sessions)
        assert names(page) == ["ORDER-000/1"]
        end(slow)

    assert read_all(sessions, page.next_cursor) == ["ORDER-002/1"]


FILTERS = {
    "types": (FeedFilter(types=["OrderPlaced", "OrderConfirmed"]), [f"{ORDER_ID}/1", f"{ORDER_ID}/4", "ORDER-002/1"]),
    "order": (FeedFilter(order_id=ORDER_ID), [f"{ORDER_ID}/{version}" for version in range(1, 6)]),
    "type of an order": (FeedFilter(types=["OrderShipped"], order_id=ORDER_ID), [f"{ORDER_ID}/5"]),
    "another order": (FeedFilter(order_id="ORDER-404"), []),
    "since": (FeedFilter(since=LATER), ["ORDER-002/1"]),
    "until": (FeedFilter(until=LATER, types=["OrderPlaced"]), [f"{ORDER_ID}/1"]),
    "no time": (FeedFilter(since=NOON, until=NOON), []),
    "correlation": (FeedFilter(correlation_id="nowhere"), []),
}


@pytest.fixture(params=[1, 3, 10_000])
def two_orders(sessions: Sessions, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Sessions:
    """Read by pages that look at so many events at the most."""
    append(sessions, LIFE)
    append(sessions, [PLACED], order_id="ORDER-002", occurred_at=LATER)
    monkeypatch.setattr(feed, "MOST_LOOKED_AT", request.param)
    return sessions


@pytest.mark.parametrize(("matching", "found"), FILTERS.values(), ids=FILTERS)
def test_filters_find_the_same_however_little_a_page_looks_at(
    two_orders: Sessions, matching: FeedFilter, found: list[str]
) -> None:
    assert read_all(two_orders, matching=matching) == found


def test_an_event_that_was_read_meets_the_same_conditions(sessions: Sessions) -> None:
    append(sessions, LIFE)
    append(sessions, [PLACED], order_id="ORDER-002", occurred_at=LATER)
    page = read(sessions)

    for matching, found in FILTERS.values():
        assert [name for name, event in zip(names(page), page.events, strict=True) if matching.takes(event)] == found


def test_a_rare_type_costs_a_page_no_more_than_its_share(sessions: Sessions) -> None:
    place_many(sessions, feed.MOST_LOOKED_AT + 5)
    append(sessions, LIFE)
    shipped = FeedFilter(types=["OrderShipped"])

    page = read(sessions, matching=shipped)

    assert names(page) == []
    assert not page.at_end
    assert page.next_cursor.position == feed.MOST_LOOKED_AT
    assert read_all(sessions, page.next_cursor, matching=shipped) == [f"{ORDER_ID}/5"]


def test_the_cursor_moves_over_what_no_filter_takes(sessions: Sessions) -> None:
    append(sessions, LIFE)
    append_placed(sessions, "ORDER-002")
    shipped = FeedFilter(types=["OrderShipped"])

    page = read(sessions, matching=shipped)

    assert page.at_end
    assert read(sessions, page.next_cursor) == FeedPage([], page.next_cursor, True)


# A cursor of a log that is no more.

REWRITE = "ALTER TABLE events DISABLE TRIGGER USER"


@pytest.mark.parametrize(
    "restored",
    [
        "DELETE FROM events WHERE version = 2",
        "UPDATE events SET aggregate_id = 'ORDER-002' WHERE version = 2",
        "UPDATE events SET occurred_at = occurred_at + interval '1 microsecond' WHERE version = 2",
        "UPDATE events SET transaction_id = '3' WHERE version = 2",
    ],
)
def test_a_cursor_whose_event_is_missing_or_another_is_refused(sessions: Sessions, restored: str) -> None:
    """As after a backup from before it, when ids and positions were given out again."""
    append(sessions, [PLACED, LAPTOP_ADDED])
    cursor = read(sessions).next_cursor
    run(sessions, REWRITE, restored)
    append(sessions, [PLACED], order_id="ORDER-003")

    with pytest.raises(CursorOfAnotherLog):
        read(sessions, cursor)


@pytest.mark.parametrize(
    "text", ["", "x", "é", "MC4wLjA", "MC4wLjAu=", encode(START) + "A", encode(START)[:-1], "0.0.0."]
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="after must be a cursor"):
        decode(text)


@pytest.mark.parametrize("cursor", [START, Cursor(1, 7, 2, "0123456789abcdef"), Cursor(2, 2**62, 10**17, "0" * 16)])
def test_cursors_survive_their_text(cursor: Cursor) -> None:
    assert decode(encode(cursor)) == cursor


# The order of one order's events.


def test_every_append_gets_its_transaction_id_after_the_event_before_it_was_committed(sessions: Sessions) -> None:
    """Or the feed would show version 3 before version 2. One id per append is what makes it so."""
    with stores(sessions.kw["bind"])() as store:
        store.append(ORDER_ID, 0, [NewEvent(event=PLACED, occurred_at=NOON)])
        append(sessions, [LAPTOP_ADDED], after=1)
        store.append(ORDER_ID, 2, [NewEvent(event=CONFIRMED, occurred_at=NOON + timedelta(minutes=1))])

    assert read_all(sessions) == [f"{ORDER_ID}/{version}" for version in (1, 2, 3)]
    assert value(sessions, "SELECT count(DISTINCT transaction_id::text) FROM events") == 3


# What a page costs.

FEW, MANY = 1_000, 30_000
LITTLE_MORE = 8  # pages; an index grows by a level or two


def costs(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The pages of the database that are read for one of the feed: at its beginning, in the middle, and at its end."""
    with sessions.kw["bind"].connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE events")
    middle = read(sessions, limit=FEW // 2).next_cursor
    end = middle
    while not (page := read(sessions, end, limit=10_000)).at_end:
        end = page.next_cursor
    of_order = FeedFilter(order_id=f"FILL-{FEW}")
    asked = {"first": (START, EVERYTHING), "middle": (middle, EVERYTHING), "end": (page.next_cursor, EVERYTHING)}
    asked |= {"of an order": (middle, of_order), "of a type": (middle, FeedFilter(types=["OrderPlaced"]))}
    found = {}
    for name, (after, matching) in asked.items():
        with pages_read(monkeypatch) as pages:
            read(sessions, after, 100, matching)
        found[name] = sum(pages)
        with pages_read(monkeypatch) as pages:
            back(sessions, after if after != START else None, 100, matching)
        found[f"before {name}"] = sum(pages)
    return found


# Backwards.


def back(sessions: Sessions, before: Cursor | None, limit: int = 100, matching: FeedFilter = EVERYTHING) -> FeedPage:
    with sessions.begin() as session:
        return read_back(driver_connection(session), before, limit, matching)


@pytest.mark.parametrize(("matching", "found"), FILTERS.values(), ids=FILTERS)
def test_the_log_is_read_backwards_page_by_page(two_orders: Sessions, matching: FeedFilter, found: list[str]) -> None:
    page = back(two_orders, None, 2, matching)
    told = names(page)
    while not page.at_end:
        page = back(two_orders, page.next_cursor, 2, matching)
        told += names(page)

    assert told == found[::-1]


def test_an_empty_log_and_an_open_transaction_have_nothing_to_read_back(sessions: Sessions) -> None:
    assert back(sessions, None) == FeedPage([], START, True)
    with sessions() as slow:
        slow.execute(text("SELECT pg_current_xact_id()"))
        append(sessions, [PLACED])
        assert names(back(sessions, None)) == []
        slow.rollback()
    assert names(back(sessions, None)) == [f"{ORDER_ID}/1"]


def test_a_time_leads_to_the_events_around_it(sessions: Sessions) -> None:
    """The log may have gaps, as after a command that was rolled back."""
    for number in range(1, 8):
        append(sessions, [PLACED], order_id=f"ORDER-{number}", occurred_at=NOON + timedelta(hours=number))
        run(sessions, "SELECT setval('events_position_seq', nextval('events_position_seq') + 5)")

    def newest(hour: float) -> list[str]:
        with sessions.begin() as session:
            connection = driver_connection(session)
            return names(read_back(connection, first_later(connection, NOON + timedelta(hours=hour)), 1))

    assert newest(3) == newest(3.5) == ["ORDER-3/1"]
    assert newest(7) == newest(99) == ["ORDER-7/1"]
    assert newest(0.5) == []


def test_thirty_times_the_events_cost_a_page_no_more(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    place_many(sessions, FEW)
    few = costs(sessions, monkeypatch)
    append(sessions, LIFE)
    place_many(sessions, MANY, first=FEW + 1)

    many = costs(sessions, monkeypatch)

    assert {name for name in few if many[name] > few[name] + LITTLE_MORE} == set(), (few, many)
