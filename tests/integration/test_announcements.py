"""Who listens is told of views that have changed: once they are committed, and of nothing else."""

import json
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.ids import IdRange
from core.read_models.announcements import EVERY_ORDER, listen
from core.read_models.catch_up import catch_up
from core.read_models.projector import project
from core.read_models.rebuild import rebuild_orders
from core.read_models.wiring import PROJECTORS
from core.settings import Patience
from tests.examples import ORDER_ID
from tests.read_side import place, place_many, run, store

SUMMARY = PROJECTORS["summary"]


@pytest.fixture
def listener(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        listen(connection)
        yield connection


def heard(listener: psycopg.Connection) -> list[str]:
    return [news.payload for news in listener.notifies(timeout=0.2)]


def test_a_projected_order_is_named(sessions: sessionmaker[Session], listener: psycopg.Connection) -> None:
    place(sessions, ORDER_ID)
    assert heard(listener) == []

    project(sessions, SUMMARY, [ORDER_ID])

    assert heard(listener) == [json.dumps([ORDER_ID])]


def test_a_projection_that_changes_nothing_is_not_news(
    sessions: sessionmaker[Session], listener: psycopg.Connection
) -> None:
    place(sessions, ORDER_ID)
    project(sessions, SUMMARY, [ORDER_ID])
    assert len(heard(listener)) == 1

    project(sessions, SUMMARY, [ORDER_ID, "ORDER-404"])

    assert heard(listener) == []


def test_what_is_not_committed_is_not_announced(sessions: sessionmaker[Session], listener: psycopg.Connection) -> None:
    place(sessions, ORDER_ID)
    store(sessions, "ORDER-002", 1, "OrderInvented")
    run(sessions, "ALTER TABLE order_summary_read_models ADD CHECK (order_id <> 'ORDER-001')")

    project(sessions, SUMMARY, [ORDER_ID, "ORDER-002"])

    assert heard(listener) == []


@pytest.mark.parametrize(("number", "named"), [(50, True), (51, False)])
def test_catch_up_names_few_orders_and_says_all_of_many(
    sessions: sessionmaker[Session], listener: psycopg.Connection, number: int, named: bool
) -> None:
    order_ids = [f"{n:02}-{'x' * 61}" for n in range(number)]  # as long as ids may be
    place(sessions, *order_ids)

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
