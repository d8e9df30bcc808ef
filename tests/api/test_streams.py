"""The live stream on the real web server: nothing is missed or comes twice, whatever ends, and nobody waits for it."""

import asyncio
import json
import signal
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker
from uuid_utils import uuid7

from core.api_keys import Scope
from core.command_handler import ConcurrentChange, OrderCommandHandler
from core.event_sourcing.feed import MOST_LOOKED_AT, Cursor, encode
from core.event_sourcing.postgres_store import stores
from local.servers import PostgresServer, ValkeyServer
from tests.conftest import make_app
from tests.support.calls import order_in, place, send
from tests.support.databases import crash
from tests.support.examples import ADD_LAPTOP, LIFE, ORDER_ID, PLACE
from tests.support.keys import Keys, bearing
from tests.support.read_side import place_many, store, value
from tests.support.sse import Follower, Refused, Sent, blocks
from tests.support.streams import append
from tests.support.threads import meanwhile
from tests.support.waiting import LONG, wait_until
from tests.support.web_server import WebServer
from webapp.api.streams import MOST_WAITING, PAGE
from webapp.gate.auth import CACHE_SECONDS

Sessions = sessionmaker[Session]
HURRIED = "tests.support.factories:streams_hurriedly"
SOON = 5.0


@pytest.fixture
def web(database_url: str, valkey: ValkeyServer, tmp_path: Path) -> Iterator[WebServer]:
    with WebServer(database_url, valkey.url, tmp_path / "web.log", app=HURRIED, STREAMS="3") as server:
        yield server


async def next_events(stream: AsyncGenerator[Sent], number: int) -> list[str]:
    """The ids of so many, whatever stands between them."""
    found: list[str] = []
    while len(found) < number:
        sent = await asyncio.wait_for(anext(stream), LONG)
        found += [sent.data["id"]] if sent.event else []
    return found


def in_a_stream(
    web: WebServer, talk: Callable[[AsyncGenerator[Sent]], Coroutine[Any, Any, None]], query: str = ""
) -> None:
    async def opened() -> None:
        async with aclosing(blocks(web.port, query)) as stream:
            await talk(stream)

    asyncio.run(opened())


def test_what_is_there_comes_first_and_then_what_happens(web: WebServer) -> None:
    """No worker projects here, so that nothing but the log tells of it."""
    first = place(web.client)

    async def talk(stream: AsyncGenerator[Sent]) -> None:
        assert await anext(stream) == Sent("", "", "1000")  # milliseconds until a client comes back
        assert await next_events(stream, 1) == [f"{first}/1"]
        second = await asyncio.to_thread(place, web.client)
        third = await asyncio.to_thread(order_in, web.client, "confirmed")
        assert await next_events(stream, 4) == [f"{second}/1", *(f"{third}/{version}" for version in (1, 2, 3))]

    in_a_stream(web, talk)


def test_an_event_is_told_with_its_type_and_a_cursor_for_both(web: WebServer, sessions: Sessions) -> None:
    append(sessions, LIFE)

    async def talk(stream: AsyncGenerator[Sent]) -> None:
        await anext(stream)
        for version, event in enumerate(LIFE, start=1):
            sent = await anext(stream)
            assert (sent.event, sent.data["type"], sent.data["orderversion"]) == (*[type(event).__name__] * 2, version)
            page = json.loads(web.client.get(f"/events?after={sent.last_id}").data)
            assert [each["orderversion"] for each in page["events"]] == list(range(version + 1, 6))

    in_a_stream(web, talk)


def test_a_client_comes_back_behind_its_last_event(web: WebServer, sessions: Sessions) -> None:
    append(sessions, LIFE)

    async def come_back() -> None:
        async with aclosing(blocks(web.port)) as stream:
            sent = [await anext(stream) for _ in range(4)]
        after = encode(Cursor(1, 1, 1, "0" * 16))  # which counts for nothing beside the header
        async with aclosing(blocks(web.port, f"after={after}", {"Last-Event-ID": sent[-1].last_id})) as stream:
            assert await next_events(stream, 2) == [f"{ORDER_ID}/4", f"{ORDER_ID}/5"]

    asyncio.run(come_back())


def test_a_long_past_comes_page_by_page(web: WebServer, sessions: Sessions) -> None:
    number = 3 * PAGE + 7
    place_many(sessions, number)

    async def talk(stream: AsyncGenerator[Sent]) -> None:
        assert await next_events(stream, number) == [f"FILL-{order}/1" for order in range(1, number + 1)]
        order_id = await asyncio.to_thread(place, web.client)
        assert await next_events(stream, 1) == [f"{order_id}/1"]

    in_a_stream(web, talk)


def test_filters_hold_for_what_is_there_and_what_happens(web: WebServer, sessions: Sessions) -> None:
    append(sessions, LIFE)

    async def talk(stream: AsyncGenerator[Sent]) -> None:
        assert await next_events(stream, 2) == [f"{ORDER_ID}/4", f"{ORDER_ID}/5"]
        shipped = await asyncio.to_thread(order_in, web.client, "shipped")
        await asyncio.to_thread(order_in, web.client, "cancelled")
        confirmed = await asyncio.to_thread(order_in, web.client, "confirmed")
        assert await next_events(stream, 3) == [f"{shipped}/3", f"{shipped}/4", f"{confirmed}/3"]

    in_a_stream(web, talk, "type=OrderConfirmed&type=OrderShipped")


def test_one_order_can_be_followed(web: WebServer) -> None:
    order_id = place(web.client)
    place(web.client)

    async def talk(stream: AsyncGenerator[Sent]) -> None:
        assert await next_events(stream, 1) == [f"{order_id}/1"]
        for version in (2, 3):
            await asyncio.to_thread(place, web.client)
            assert (await asyncio.to_thread(send, web.client, "add_item", order_id)).status_code == 200
            assert await next_events(stream, 1) == [f"{order_id}/{version}"]

    in_a_stream(web, talk, f"order_id={order_id}")


def test_many_events_at_once_cut_off_no_client_that_reads(web: WebServer, sessions: Sessions) -> None:
    number = 10 * MOST_WAITING

    async def follow() -> None:
        followers = [Follower(web.port) for _ in range(3)]
        running = [asyncio.create_task(follower.follow()) for follower in followers]
        append(sessions, LIFE)
        await asyncio.to_thread(wait_until, lambda: all(len(follower.ids) == len(LIFE) for follower in followers))
        await asyncio.to_thread(place_many, sessions, number)
        total = len(LIFE) + number
        await asyncio.to_thread(wait_until, lambda: all(len(follower.ids) >= total for follower in followers))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        assert [(len(follower.ids), follower.connections) for follower in followers] == [(total, 1)] * 3

    asyncio.run(follow())


def test_a_quiet_stream_sends_comments_and_where_it_is(web: WebServer) -> None:
    async def talk(stream: AsyncGenerator[Sent]) -> None:
        assert [(await anext(stream)).event for _ in range(3)] == [""] * 3
        order_id = await asyncio.to_thread(place, web.client)  # which this stream does not want
        sent = await anext(stream)
        while not sent.last_id:
            sent = await anext(stream)
        page = json.loads(web.client.get(f"/events?after={sent.last_id}").data)
        assert (sent.event, page["events"]) == ("", []), order_id

    in_a_stream(web, talk, "type=OrderShipped")


def test_a_stream_that_wants_little_of_a_long_past_says_how_far_it_is(web: WebServer, sessions: Sessions) -> None:
    place_many(sessions, 3 * MOST_LOOKED_AT)

    async def talk(stream: AsyncGenerator[Sent]) -> None:
        await anext(stream)
        for passed in (MOST_LOOKED_AT, 2 * MOST_LOOKED_AT):  # the end is further on
            sent = await anext(stream)
            [following] = json.loads(web.client.get(f"/events?limit=1&after={sent.last_id}").data)["events"]
            assert (sent.event, following["id"]) == ("", f"FILL-{passed + 1}/1")

    in_a_stream(web, talk, "type=OrderShipped")


def test_what_cannot_be_streamed_is_refused_at_once(web: WebServer, sessions: Sessions) -> None:
    append(sessions, LIFE)

    async def refused(query: str = "", last_id: str = "") -> tuple[int, str]:
        with pytest.raises(Refused) as told:
            await anext(blocks(web.port, query, {"Last-Event-ID": last_id} if last_id else {}))
        return told.value.status, told.value.slug

    async def ask() -> None:
        elsewhere = encode(Cursor(1, 1, 1, "0" * 16))
        assert await refused("type=x") == (422, "invalid-request")
        assert await refused("limit=5") == (422, "invalid-request")
        assert await refused(last_id="x") == (400, "invalid-header")
        assert await refused(f"after={elsewhere}") == (410, "cursor-of-another-log")
        assert await refused(last_id=elsewhere) == (410, "cursor-of-another-log")

    asyncio.run(ask())


def test_another_server_gives_the_first_page_and_ends(client: FlaskClient, sessions: Sessions) -> None:
    """A client then comes back for more."""
    append(sessions, LIFE)

    answer = client.get("/events/stream?type=OrderShipped")

    assert answer.text.startswith("retry: 1000\n\nid: ")
    assert answer.text.count("event: OrderShipped\ndata: {") == answer.text.count("data:") == 1
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert client.head("/events/stream").status_code == 200


# As many as may be.


async def opened(port: int) -> AsyncGenerator[Sent]:
    """A stream that has begun, even if others have just gone and their places are not free yet."""
    async with asyncio.timeout(LONG):
        while True:
            stream = blocks(port)
            try:
                await anext(stream)
            except Refused as refused:
                if (refused.slug, refused.headers["retry-after"]) != ("too-many-streams", "5"):
                    raise
                await asyncio.sleep(0.05)
            else:
                return stream


def test_above_the_cap_others_are_told_to_come_back_and_commands_go_on(web: WebServer) -> None:
    async def fill() -> None:
        streams = [await opened(web.port) for _ in range(3)]
        for _ in range(5):
            with pytest.raises(Refused, match="too-many-streams"):
                await anext(blocks(web.port))
        asked = time.monotonic()
        placed = [await asyncio.to_thread(place, web.client) for _ in range(5)]
        assert time.monotonic() - asked < SOON
        for stream in streams:
            assert await next_events(stream, 5) == [f"{order_id}/1" for order_id in placed]
        for stream in streams:
            await stream.aclose()
        again = [await opened(web.port) for _ in range(3)]  # the places are free again
        for stream in again:
            await stream.aclose()

    asyncio.run(fill())


def test_a_head_takes_no_place(web: WebServer) -> None:
    for _ in range(5):
        connection = web.connect()
        connection.request("HEAD", "/events/stream")
        assert connection.getresponse().status == 200
        connection.close()


def test_streams_take_no_thread_of_a_request(database_url: str, valkey: ValkeyServer, tmp_path: Path) -> None:
    """There are six times as many as threads."""

    async def fill(web: WebServer) -> None:
        streams = [await opened(web.port) for _ in range(100)]
        asked = time.monotonic()
        with ThreadPoolExecutor(16) as threads:
            loop = asyncio.get_running_loop()
            placed = await asyncio.gather(*(loop.run_in_executor(threads, place, web.client) for _ in range(32)))
        assert time.monotonic() - asked < SOON
        for stream in streams:
            assert sorted(await next_events(stream, 32)) == sorted(f"{order_id}/1" for order_id in placed)
            await stream.aclose()

    with WebServer(database_url, valkey.url, tmp_path / "web.log", STREAMS="100") as web:
        asyncio.run(fill(web))


# What ends a stream.


MANY = 40_000  # events, more than all buffers on the way hold


@pytest.mark.parametrize("past", [False, True], ids=["of what happens", "of what is there"])
def test_a_client_that_takes_nothing_is_cut_off_and_comes_back_for_all(
    web: WebServer, sessions: Sessions, past: bool
) -> None:
    async def be_slow() -> None:
        if past:
            place_many(sessions, MANY)
        slow, *others = [await opened(web.port) for _ in range(3)]
        if not past:
            await asyncio.to_thread(place_many, sessions, MANY)
        await (await opened(web.port)).aclose()  # for which there is room when one has been cut off
        for other in others:
            await other.aclose()
        sent = [each async for each in slow if each.event]
        assert 0 < len(sent) < MANY
        async with aclosing(blocks(web.port, "", {"Last-Event-ID": sent[-1].last_id})) as stream:
            rest = await next_events(stream, MANY - len(sent))
        assert [each.data["id"] for each in sent] + rest == [f"FILL-{order}/1" for order in range(1, MANY + 1)]

    asyncio.run(be_slow())


def test_a_stop_ends_streams_at_once(web: WebServer) -> None:
    async def stop() -> None:
        streams = [await opened(web.port) for _ in range(3)]
        web.ask_to_stop()
        async with asyncio.timeout(SOON):
            for stream in streams:
                assert [sent async for sent in stream if sent.event] == []

    asyncio.run(stop())
    assert web.wait_for_end(10) in (0, -signal.SIGTERM)


def test_a_stream_ends_with_its_key(
    database_url: str, valkey: ValkeyServer, tmp_path: Path, sessions: Sessions
) -> None:
    keys = Keys(sessions)
    shop, other, orders = keys.create(Scope.EVENTS_READ), keys.create(Scope.EVENTS_READ), keys.create(Scope.ORDERS_READ)

    async def revoke(web: WebServer) -> None:
        for wrong in ({}, bearing(orders.text)):
            with pytest.raises(Refused, match=r"^40[13] "):
                await anext(blocks(web.port, "", wrong))
        ending, going_on = [blocks(web.port, "", bearing(created.text)) for created in (shop, other)]
        await anext(ending)
        await anext(going_on)
        keys.revoke(shop)
        assert [sent async for sent in ending if sent.event] == []
        await asyncio.sleep(CACHE_SECONDS)  # so long every process may still know the key
        with pytest.raises(Refused, match="401"):
            await anext(blocks(web.port, "", bearing(shop.text)))
        append(sessions, [LIFE[0]])
        assert await next_events(going_on, 1) == [f"{ORDER_ID}/1"]
        await going_on.aclose()

    with WebServer(database_url, valkey.url, tmp_path / "web.log", app=HURRIED, ORDERLOG_AUTH="on") as web:
        asyncio.run(revoke(web))


def test_streams_outlive_their_database(tmp_path: Path, valkey: ValkeyServer) -> None:
    with PostgresServer(tmp_path) as postgres:
        app = make_app(postgres.superuser_url, valkey.url)
        with app.app_context():
            upgrade()
            sessions = sessionmaker(app.extensions["sqlalchemy"].engine)

        async def lose_it(web: WebServer) -> None:
            stream = await opened(web.port)
            append(sessions, LIFE[:1])
            assert await next_events(stream, 1) == [f"{ORDER_ID}/1"]
            crash(postgres)
            postgres.start()
            wait_until(lambda: web.client.get("/orders").status_code == 200)
            append(sessions, LIFE[1:2], after=1)
            assert await next_events(stream, 1) == [f"{ORDER_ID}/2"]
            await stream.aclose()

        with WebServer(postgres.superuser_url, valkey.url, tmp_path / "web.log") as web:
            asyncio.run(lose_it(web))
        sessions.kw["bind"].dispose()


def test_an_event_that_cannot_be_read_is_never_passed_over(web: WebServer, sessions: Sessions) -> None:
    append(sessions, LIFE[:1])

    async def talk(stream: AsyncGenerator[Sent]) -> None:
        assert await next_events(stream, 1) == [f"{ORDER_ID}/1"]
        store(sessions, ORDER_ID, 2, "OrderRefunded")
        assert [sent async for sent in stream if sent.event] == []
        with pytest.raises(Refused, match="event-unknown"):
            await anext(blocks(web.port))

    in_a_stream(web, talk)


# Many clients, and processes that are killed.

CLIENTS = 200
ENOUGH = 150  # events, between two deaths
COUNT = "SELECT count(*) FROM events"
LOG = text("SELECT aggregate_id || '/' || version FROM events ORDER BY epoch, transaction_id, position")


def write(sessions: Sessions, ended: threading.Event) -> None:
    """Orders that several change at once, by commands."""
    handler = OrderCommandHandler(stores(sessions.kw["bind"]))
    while not ended.is_set():
        order_id = str(uuid7())
        handler.handle(replace(PLACE, order_id=order_id))
        for _ in range(3):
            with suppress(ConcurrentChange):
                handler.handle(replace(ADD_LAPTOP, order_id=order_id))


def stored(sessions: Sessions, number: int) -> bool:
    return bool(value(sessions, COUNT) >= number)


@pytest.mark.timeout(240)
def test_clients_of_killed_processes_end_with_all_events_once_and_in_order(
    database_url: str, valkey: ValkeyServer, tmp_path: Path, sessions: Sessions
) -> None:
    with WebServer(database_url, valkey.url, tmp_path / "web.log", processes=2, STREAMS=str(CLIENTS)) as web:
        followers = [Follower(web.port) for _ in range(CLIENTS)]
        ended = threading.Event()

        async def follow() -> None:
            running = [asyncio.create_task(follower.follow()) for follower in followers]
            await asyncio.to_thread(break_while_writing, web, sessions, followers, ended)
            for task in running:
                task.cancel()
            done = await asyncio.gather(*running, return_exceptions=True)
            assert {type(each) for each in done} == {asyncio.CancelledError}

        asyncio.run(follow())

    with sessions.begin() as session:
        log = list(session.execute(LOG).scalars())
    assert [follower for follower in followers if follower.ids != log] == []
    assert sum(follower.connections > 1 for follower in followers) >= CLIENTS / 2


def break_while_writing(web: WebServer, sessions: Sessions, followers: list[Follower], ended: threading.Event) -> None:
    loops = [partial(write, sessions, ended)] * 2
    with meanwhile(ended, *loops):
        wait_until(lambda: all(follower.ids for follower in followers))
        for _ in range(3):
            web.kill_a_process()
            before = value(sessions, COUNT)
            wait_until(partial(stored, sessions, before + ENOUGH))
    total = value(sessions, COUNT)
    wait_until(lambda: all(len(follower.ids) >= total for follower in followers), 2 * LONG)
