"""Many clients at once: nothing is lost, versions are gapless, and a lost race is told clearly."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from unittest.mock import patch

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.command_handler import ATTEMPTS
from core.database import driver_connection
from core.event_sourcing.event_store import NewEvent, RecordedEvent
from core.event_sourcing.postgres_store import PostgresEventStore
from core.logs import JsonLines
from core.orders.events import OrderConfirmed, OrderEvent, OrderItemAdded
from tests.support.calls import (
    COMMANDS,
    Answer,
    accepted,
    nothing_stored,
    order_after,
    place,
    problem,
    read,
    send,
    show_everything,
    stored_events,
)
from tests.support.examples import CANCELLED, LAPTOP_ADDED, NOON, PLACED
from tests.support.read_side import run
from tests.support.waiting import wait_for_lock
from webapp.health.readiness import SET_SEQUENCE

WRITERS = 50

Result = TypeVar("Result")
Ask = Callable[[FlaskClient], Result]


def at_once(app: Flask, asks: list[Ask[Result]]) -> list[Result]:
    """The answers, when each is asked by a client of its own and all begin together."""
    begin = threading.Barrier(len(asks))

    def run(ask: Ask[Result]) -> Result:
        client = app.test_client()
        begin.wait()
        return ask(client)

    with ThreadPoolExecutor(len(asks)) as threads:
        return list(threads.map(run, asks))


def history(sessions: sessionmaker[Session], order_id: str) -> list[RecordedEvent]:
    with sessions.begin() as session:
        return list(PostgresEventStore(driver_connection(session)).read_stream(order_id))


def add(order_id: str, number: int) -> Ask[Answer]:
    return partial(send, command="add_item", order_id=order_id, product_name=f"マウス {number}")


def test_fifty_writers_of_one_order_lose_nothing(app: Flask, sessions: sessionmaker[Session]) -> None:
    order_id = place(app.test_client())

    answers = at_once(app, [add(order_id, number) for number in range(WRITERS)])

    accepted = [number for number, answer in enumerate(answers) if answer.status_code == 200]
    for number in set(range(WRITERS)) - set(accepted):
        assert order_id in problem(answers[number], 409, "concurrent-change")["detail"]
    assert accepted
    stream = history(sessions, order_id)
    assert [recorded.version for recorded in stream] == list(range(1, len(accepted) + 2))
    by_version = {recorded.version: recorded.event for recorded in stream}
    for number in accepted:  # each was answered with the version that its own item has
        added = by_version[read(answers[number])["version"]]
        assert isinstance(added, OrderItemAdded)
        assert added.product_name == f"マウス {number}"

    show_everything(sessions)
    details = read(app.test_client().get(f"/orders/{order_id}"))
    assert sorted(item["product_name"] for item in details["items"]) == sorted(f"マウス {n}" for n in accepted)
    assert details["items_total"] == 80000 * len(accepted)


def test_fifty_orders_placed_at_once_are_all_stored(app: Flask, sessions: sessionmaker[Session]) -> None:
    order_ids = at_once(app, [place] * WRITERS)

    assert len(set(order_ids)) == WRITERS
    assert stored_events(sessions) == WRITERS


def test_of_many_cancellations_one_is_stored(app: Flask, sessions: sessionmaker[Session]) -> None:
    order_id = place(app.test_client())

    answers = at_once(app, [partial(send, command="cancel_order", order_id=order_id)] * 10)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 9}
    for answer in answers:
        if answer.status_code == 409:
            assert problem(answer, 409, "refused-by-status")["order_status"] == "cancelled"
    assert [recorded.version for recorded in history(sessions, order_id)] == [1, 2]


def test_no_item_gets_in_after_a_confirmation(app: Flask, sessions: sessionmaker[Session]) -> None:
    for _ in range(5):
        order_id = order_after(app.test_client(), "add_item")
        confirm: Ask[Answer] = partial(send, command="confirm_order", order_id=order_id)

        answers = at_once(app, [confirm, *(add(order_id, number) for number in range(5))])
        confirmed, added = answers[0], answers[1:]

        assert confirmed.status_code == 200
        assert {answer.status_code for answer in added} <= {200, 409}
        stream = history(sessions, order_id)
        assert len(stream) == 3 + sum(answer.status_code == 200 for answer in added)
        assert isinstance(stream[-1].event, OrderConfirmed)


def test_writers_of_other_orders_do_not_wait(
    app: Flask, client: FlaskClient, database_url: str, sessions: sessionmaker[Session]
) -> None:
    """While a transaction that has appended to one order stays open."""
    held, other = place(client), place(client)
    with psycopg.connect(database_url) as connection, ThreadPoolExecutor(1) as thread:
        connection.execute(
            """
            INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
            SELECT aggregate_id, aggregate_type, 2, 'OrderItemAdded',
                   event_data || '{"product_name": "x", "quantity": 1, "unit_price": "1.00",
                                   "added_at": "2026-01-01T12:00:00+00:00"}', '{"schema_version": 1}', occurred_at
            FROM events WHERE aggregate_id = %s
            """,
            [held],
        )
        waiting = thread.submit(send, app.test_client(), "add_item", held)
        wait_for_lock(sessions)

        accepted(send(client, "add_item", other), other, version=2)
        assert place(client)

        assert not waiting.done()  # the version it wants may be taken or free: the open transaction decides
        connection.commit()
        accepted(waiting.result(), held, version=3)


@contextmanager
def somebody_else_first(sessions: sessionmaker[Session], winner: OrderEvent, times: int = 1) -> Iterator[list[int]]:
    """Just before the application appends, another connection appends this and commits. Yields the versions lost."""
    lost: list[int] = []
    really_append = PostgresEventStore.append

    def overtaken(
        store: PostgresEventStore, aggregate_id: str, expected_version: int, events: Sequence[NewEvent], **beside: Any
    ) -> list[RecordedEvent]:
        if len(lost) < times:
            lost.append(expected_version + 1)
            with sessions.begin() as session:
                others = PostgresEventStore(driver_connection(session))
                really_append(others, aggregate_id, expected_version, [NewEvent(event=winner, occurred_at=NOON)])
        return really_append(store, aggregate_id, expected_version, events, **beside)

    with patch.object(PostgresEventStore, "append", overtaken):
        yield lost


def test_a_command_that_loses_some_races_is_tried_again(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = order_after(client, "add_item")

    with somebody_else_first(sessions, LAPTOP_ADDED, times=3) as lost:
        answer = send(client, "confirm_order", order_id)

    assert lost == [3, 4, 5]
    accepted(answer, order_id, version=6)


def test_a_command_that_loses_every_race_is_told_so_and_stores_nothing(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    order_id = order_after(client, "add_item")

    with somebody_else_first(sessions, LAPTOP_ADDED, times=1000) as lost:
        document = problem(send(client, "confirm_order", order_id), 409, "concurrent-change")

    assert order_id in document["detail"]
    assert len(lost) == ATTEMPTS
    stream = history(sessions, order_id)
    assert [recorded.version for recorded in stream] == list(range(1, 3 + ATTEMPTS))
    assert all(isinstance(recorded.event, OrderItemAdded) for recorded in stream[1:])
    assert read(send(client, "confirm_order", order_id))["version"] == 3 + ATTEMPTS  # as it was advised


def test_a_retried_command_decides_on_what_the_winner_changed(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    order_id = place(client)

    with somebody_else_first(sessions, CANCELLED) as lost:
        document = problem(send(client, "add_item", order_id), 409, "refused-by-status")

    assert lost == [2]
    assert document["order_status"] == "cancelled"
    assert len(history(sessions, order_id)) == 2


def test_placing_under_an_id_that_was_taken_in_the_same_moment_is_refused(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    path, body = COMMANDS["place_order"]

    with somebody_else_first(sessions, PLACED) as lost:
        document = problem(client.post(path, json=body), 409, "order-already-placed")

    assert lost == [1]
    assert "has already been placed" in document["detail"]
    assert stored_events(sessions) == 1


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """As the service writes it, which leaves out what may quote customer data."""
    return "".join(JsonLines().format(record) for record in caplog.records)


def test_a_position_that_is_taken_is_no_lost_race(
    client: FlaskClient, sessions: sessionmaker[Session], caplog: pytest.LogCaptureFixture
) -> None:
    """The sequence is behind, as after somebody has set it back, and a few more attempts do not bring it up."""
    path, body = COMMANDS["place_order"]
    untouched, *_ = [place(client) for _ in range(2 * ATTEMPTS)]
    run(sessions, "ALTER SEQUENCE events_position_seq RESTART WITH 1")

    with nothing_stored(sessions):
        problem(client.post(path, json=body), 500, "internal-error")

    assert "(constraint events_pkey): the sequence events_position_seq is behind" in logged(caplog)
    run(sessions, "ALTER SEQUENCE events_position_seq RESTART WITH 1")
    with nothing_stored(sessions):
        problem(send(client, "add_item", untouched, headers={"Idempotency-Key": "one"}), 500, "internal-error")
    run(sessions, SET_SEQUENCE)
    accepted(send(client, "add_item", untouched, headers={"Idempotency-Key": "one"}), untouched, version=2)


@pytest.mark.parametrize(
    "constraint",
    [
        "events ADD CONSTRAINT another EXCLUDE (event_type WITH =)",
        "events ADD CONSTRAINT another UNIQUE (aggregate_type)",
        "events ADD CONSTRAINT another CHECK (version < 1) NOT VALID",
        "events ADD CONSTRAINT another FOREIGN KEY (aggregate_id) REFERENCES api_keys (id) NOT VALID",
        "idempotency_keys ADD CONSTRAINT another UNIQUE (owner)",
    ],
)
def test_another_constraint_is_named_in_the_log_and_is_no_conflict(
    client: FlaskClient, sessions: sessionmaker[Session], caplog: pytest.LogCaptureFixture, constraint: str
) -> None:
    path, body = COMMANDS["place_order"]
    assert client.post(path, json=body, headers={"Idempotency-Key": "one"}).status_code == 201
    run(sessions, f"ALTER TABLE {constraint}")

    with nothing_stored(sessions):
        problem(client.post(path, json=body, headers={"Idempotency-Key": "two"}), 500, "internal-error")

    assert re.search(r"constraint \\?.another", logged(caplog))
