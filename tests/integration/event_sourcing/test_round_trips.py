"""What a command costs in statements, each of which is a round trip: one to load, one to append with all beside it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.command_handler import Handled, OrderCommandHandler
from core.event_sourcing.event_store import NewEvent
from core.event_sourcing.postgres_store import stores
from core.event_sourcing.repository import SNAPSHOT_EVERY
from core.idempotency import IdempotencyKey
from core.orders.commands import OrderCommand
from core.orders.events import OrderEvent
from core.orders.order import STATE_SHAPE
from tests.support.examples import ADD_LAPTOP, ADD_MICE, CONFIRM, LAPTOP_ADDED, NOON, ORDER_ID, PLACE, PLACED, SHIP
from tests.support.read_side import value

KEY = IdempotencyKey(owner="one", key="key", request_hash=b"request", lifetime=timedelta(hours=24))


@pytest.fixture
def sent() -> Iterator[list[str]]:
    """The statements sent from now on; each is a transaction of its own, or there would be BEGIN and COMMIT as well."""
    statements: list[str] = []
    really_execute = psycopg.Cursor.execute

    def execute(cursor: psycopg.Cursor[Any], query: Any, *args: Any, **options: Any) -> psycopg.Cursor[Any]:
        assert cursor.connection.autocommit
        statements.append(str(query))
        return really_execute(cursor, query, *args, **options)

    with patch.object(psycopg.Cursor, "execute", execute):
        yield statements


@pytest.fixture
def sessions(sessions: sessionmaker[Session]) -> sessionmaker[Session]:
    """With a connection that has been used, as a pool has: the first use asks the server what it is."""
    value(sessions, "SELECT 1")
    return sessions


def handle(sessions: sessionmaker[Session], command: OrderCommand, once: IdempotencyKey | None = None) -> Handled:
    return OrderCommandHandler(stores(sessions.kw["bind"])).handle(command, once=once)


def test_placing_an_order_is_one_round_trip_with_its_key(sessions: sessionmaker[Session], sent: list[str]) -> None:
    handle(sessions, PLACE, KEY)

    assert len(sent) == 1


def test_any_other_command_is_two(sessions: sessionmaker[Session], sent: list[str]) -> None:
    handle(sessions, PLACE)
    sent.clear()

    commands: list[OrderCommand] = [ADD_LAPTOP, ADD_MICE, CONFIRM, SHIP]
    for number, command in enumerate(commands, start=1):
        handle(sessions, command, KEY if number == 1 else None)
        assert len(sent) == 2 * number


def test_a_key_that_was_used_costs_one_more(sessions: sessionmaker[Session], sent: list[str]) -> None:
    handle(sessions, PLACE, KEY)
    sent.clear()

    again = handle(sessions, ADD_LAPTOP, KEY)

    assert (again.outcome.version, again.recorded, len(sent)) == (1, [], 3)


def test_a_snapshot_is_saved_with_the_events_and_loaded_with_those_after_it(
    sessions: sessionmaker[Session], sent: list[str]
) -> None:
    history: list[OrderEvent] = [PLACED, *[LAPTOP_ADDED] * (SNAPSHOT_EVERY - 2)]
    with stores(sessions.kw["bind"])() as store:
        store.append(ORDER_ID, 0, [NewEvent(event=event, occurred_at=NOON) for event in history])
    sent.clear()

    handle(sessions, ADD_MICE)
    handle(sessions, CONFIRM)

    assert len(sent) == 4
    with stores(sessions.kw["bind"])() as opened:
        snapshot, later = opened.read_from_snapshot(ORDER_ID, STATE_SHAPE)
    assert snapshot is not None
    assert snapshot.version == SNAPSHOT_EVERY
    assert [recorded.version for recorded in later] == [SNAPSHOT_EVERY + 1]
