"""Who listens is told of orders whose rows have changed: once they are committed, and of nothing else."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from threading import Event

import psycopg
import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing.streams import IdRange
from core.projection.announcements import CHANNEL, EVERY_ORDER, announce_if_heard, listen
from core.projection.catch_up import catch_up
from core.projection.project import project
from core.projection.rebuild import rebuild_orders
from core.read_models.wiring import PROJECTORS
from core.settings import Patience
from tests.support.examples import ORDER_ID
from tests.support.read_side import append_placed, place_many, run, shown, store
from tests.support.waiting import LONG, wait_for_lock

SUMMARY = PROJECTORS["summary"]
UP_TO_NOW = "up to now"


@pytest.fixture
def listener(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        listen(connection)
        yield connection


def heard(listener: psycopg.Connection) -> list[str]:
    """What was announced up to now: a listener is told in the order of commits."""
    with psycopg.connect(listener.info.dsn, password=listener.info.password, autocommit=True) as connection:
        connection.execute(f"NOTIFY {CHANNEL}, '{UP_TO_NOW}'")
    return [news.payload for news in takewhile(lambda news: news.payload != UP_TO_NOW, listener.notifies())]


def test_a_projected_order_is_named(sessions: sessionmaker[Session], listener: psycopg.Connection) -> None:
    append_placed(sessions, ORDER_ID)
    assert heard(listener) == []

    project(sessions, SUMMARY, [ORDER_ID])

    assert heard(listener) == [json.dumps([ORDER_ID])]


def test_a_projection_that_changes_nothing_is_not_news(
    sessions: sessionmaker[Session], listener: psycopg.Connection
) -> None:
    append_placed(sessions, ORDER_ID)
    project(sessions, SUMMARY, [ORDER_ID])
    assert len(heard(listener)) == 1

    project(sessions, SUMMARY, [ORDER_ID, "ORDER-404"])

    assert heard(listener) == []


def test_what_is_not_committed_is_not_announced(sessions: sessionmaker[Session], listener: psycopg.Connection) -> None:
    append_placed(sessions, ORDER_ID)
    store(sessions, "ORDER-002", 1, "OrderInvented")
    run(sessions, "ALTER TABLE order_summary_read_models ADD CHECK (order_id <> 'ORDER-001')")

    project(sessions, SUMMARY, [ORDER_ID, "ORDER-002"])

    assert heard(listener) == []


@pytest.mark.parametrize(("number", "named"), [(50, True), (51, False)])
def test_catch_up_names_few_orders_and_says_all_of_many(
    sessions: sessionmaker[Session], listener: psycopg.Connection, number: int, named: bool
) -> None:
    order_ids = [f"{n:02}-{'x' * 61}" for n in range(number)]  # as long as ids may be
    append_placed(sessions, *order_ids)

    catch_up(sessions, "summary", SUMMARY)

    assert heard(listener) == [json.dumps(order_ids) if named else EVERY_ORDER]


def test_a_rebuild_says_that_all_may_have_changed(
    sessions: sessionmaker[Session], listener: psycopg.Connection
) -> None:
    place_many(sessions, 1000)

    with sessions.begin() as session:
        rebuild_orders(session, IdRange(), PROJECTORS, Patience())
        assert heard(listener) == []

    assert heard(listener) == [EVERY_ORDER]  # equal ones of a transaction are sent once


def test_nothing_is_announced_while_nobody_has_said_that_they_listen(
    sessions: sessionmaker[Session], database_url: str
) -> None:
    append_placed(sessions, ORDER_ID)
    with psycopg.connect(database_url, autocommit=True) as eavesdropper:
        eavesdropper.execute(f"LISTEN {CHANNEL}")

        project(sessions, SUMMARY, [ORDER_ID])

        assert heard(eavesdropper) == []


def test_who_comes_to_listen_waits_for_what_will_not_be_announced(
    sessions: sessionmaker[Session], database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection, ThreadPoolExecutor(1) as thread:
        with sessions.begin() as session:
            announce_if_heard(driver_connection(session), [ORDER_ID])
            coming = thread.submit(listen, connection)
            wait_for_lock(sessions)
            with sessions.begin() as another:  # at the same time
                announce_if_heard(driver_connection(another), ["ORDER-002"])
            assert not coming.done()
        coming.result(10)

        with sessions.begin() as session:
            announce_if_heard(driver_connection(session), ["ORDER-003"])
        assert heard(connection) == [json.dumps(["ORDER-003"])]


def test_nobody_who_waits_is_missed_however_projections_and_listeners_come_and_go(
    sessions: sessionmaker[Session], database_url: str
) -> None:
    order_ids = [f"ORDER-{number:03}" for number in range(120)]
    append_placed(sessions, *order_ids)
    coming = {order_id: Event() for order_id in order_ids}

    def is_told(order_id: str) -> bool:
        coming[order_id].set()
        with psycopg.connect(database_url, autocommit=True) as connection:
            listen(connection)
            if order_id in shown(sessions):
                return True
            return any(order_id in news.payload for news in connection.notifies(timeout=LONG))

    with ThreadPoolExecutor(4) as listeners, ThreadPoolExecutor(3) as workers:
        waits = [listeners.submit(is_told, order_id) for order_id in order_ids]
        for order_id in order_ids:
            assert coming[order_id].wait(LONG)
            workers.submit(project, sessions, SUMMARY, [order_id])  # which takes about as long as to come and listen
        assert all(each.result() for each in waits)
