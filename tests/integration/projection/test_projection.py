"""Hints may be lost, doubled, late, out of order or concurrent: the read models come out the same."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.postgres_store import PostgresEventStore
from core.event_sourcing.streams import IdRange
from core.orders.events import OrderCancelled
from core.projection import sql, writer
from core.projection.project import fold, project, project_within
from core.projection.rebuild import rebuild_orders
from core.read_models.details import DetailsReadModel, OrderDetails, find_details, order_items
from core.read_models.header import OrderHeader
from core.read_models.summary import OrderFilter, list_orders
from core.read_models.wiring import PROJECTORS
from core.settings import Patience
from tests.support.examples import CANCELLED, LAPTOP_ADDED, LIFE, MICE_ADDED, ORDER_ID, PLACED
from tests.support.read_side import project_all, value
from tests.support.streams import append
from tests.support.waiting import wait_for_lock


def summary(sessions: sessionmaker[Session]) -> OrderHeader | None:
    with sessions.begin() as session:
        page, _ = list_orders(session, matching=OrderFilter(), after=None, limit=10)
    assert len(page) <= 1
    return page[0] if page else None


def assert_shows_the_events(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        stream = list(PostgresEventStore(driver_connection(session)).read_stream(ORDER_ID))
        details = find_details(session, ORDER_ID)
    assert details == fold(PROJECTORS["details"], stream)[ORDER_ID]
    assert summary(sessions) == fold(PROJECTORS["summary"], stream)[ORDER_ID]


def test_an_event_is_shown_after_its_hint(sessions: sessionmaker[Session]) -> None:
    for version, happened in enumerate(LIFE):
        append(sessions, [happened], after=version)
        project_all(sessions, ORDER_ID)
        assert_shows_the_events(sessions)


def test_one_hint_is_enough_for_all_events_of_the_order(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    project_all(sessions, ORDER_ID)

    assert_shows_the_events(sessions)
    with sessions.begin() as session:
        details = find_details(session, ORDER_ID)
    assert details is not None
    assert details.version == 5
    assert details.items_total == Decimal("83000.00")


def test_a_hint_delivered_twice_changes_nothing(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    project_all(sessions, ORDER_ID)
    project_all(sessions, ORDER_ID)

    assert_shows_the_events(sessions)


def test_a_hint_for_an_order_without_events_makes_no_row(sessions: sessionmaker[Session]) -> None:
    project_all(sessions, "ORDER-404")

    assert summary(sessions) is None


@pytest.mark.parametrize("seed", range(3))
def test_hints_tripled_shuffled_and_concurrent_come_out_the_same(sessions: sessionmaker[Session], seed: int) -> None:
    dice = random.Random(seed)
    hints = [ORDER_ID] * len(LIFE) * 3

    with ThreadPoolExecutor(4) as workers:
        running = []
        for version, happened in enumerate(LIFE):
            append(sessions, [happened], after=version)
            running += [workers.submit(project_all, sessions, order_id) for order_id in dice.sample(hints, 3)]
        for each in running:
            each.result()

    assert_shows_the_events(sessions)
    with sessions.begin() as session:
        assert len(session.execute(select(order_items)).all()) == 2


def test_row_and_parts_are_written_in_one_transaction(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash after the details row and before its items leaves neither."""
    append(sessions, [PLACED, LAPTOP_ADDED])

    def crash(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(sql, "save_part_of_new", crash)
    with pytest.raises(KeyboardInterrupt):
        project(sessions, PROJECTORS["details"], [ORDER_ID])
    monkeypatch.undo()

    with sessions.begin() as session:
        assert find_details(session, ORDER_ID) is None
    project_all(sessions, ORDER_ID)
    assert_shows_the_events(sessions)


@pytest.mark.parametrize("name", PROJECTORS)
@pytest.mark.parametrize("shown", [0, 1], ids=["no row yet", "a row"])
def test_who_waits_goes_on_from_what_the_other_has_written(
    sessions: sessionmaker[Session], name: str, shown: int
) -> None:
    model = PROJECTORS[name]
    append(sessions, [PLACED])
    if shown:
        project_all(sessions, ORDER_ID)
    append(sessions, [LAPTOP_ADDED, MICE_ADDED], after=1)
    with ThreadPoolExecutor(1) as thread:
        with sessions.begin() as session:
            first, _ = project_within(driver_connection(session), model, [ORDER_ID], most=1)
            waiting = thread.submit(project, sessions, model, [ORDER_ID])
            wait_for_lock(sessions)
        projected = waiting.result(10)

    assert (first.versions, projected.versions, projected.failures) == ({ORDER_ID: shown + 1}, {ORDER_ID: 3}, {})
    project_all(sessions, ORDER_ID)
    assert_shows_the_events(sessions)


class Emptied(DetailsReadModel):
    """An order that is cancelled loses its items."""

    def evolve(self, row: OrderDetails | None, recorded: RecordedEvent) -> OrderDetails:
        row = super().evolve(row, recorded)
        if isinstance(recorded.event, OrderCancelled):
            row.items.clear()
        return row


def items(sessions: sessionmaker[Session]) -> int:
    return int(value(sessions, "SELECT count(*) FROM order_item_read_models"))


@pytest.mark.parametrize("orders", [1, writer.FEW], ids=["one", "many"])
def test_a_part_that_is_gone_is_deleted(sessions: sessionmaker[Session], orders: int) -> None:
    ids = [f"ORDER-{number:03}" for number in range(orders)]
    for order_id in ids:
        append(sessions, [PLACED, LAPTOP_ADDED, MICE_ADDED], order_id=order_id)
    project(sessions, Emptied(), ids)
    assert items(sessions) == 2 * orders
    for order_id in ids:
        append(sessions, [CANCELLED], order_id=order_id, after=3)

    project(sessions, Emptied(), ids)

    assert items(sessions) == 0


@pytest.mark.parametrize("orders", [1, writer.FEW], ids=["one", "many"])
def test_a_late_projection_never_resurrects_a_part_that_is_gone(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch, orders: int
) -> None:
    """A rebuild makes the row when the projection has read the item and not its end, and has not written yet."""
    ids = [f"ORDER-{number:03}" for number in range(orders)]
    for order_id in ids:
        append(sessions, [PLACED, LAPTOP_ADDED], order_id=order_id)
    really_save = writer.save

    def save_late(*args: Any) -> Callable[[], set[str]]:
        monkeypatch.undo()
        for order_id in ids:
            append(sessions, [CANCELLED], order_id=order_id, after=2)
        with sessions.begin() as session:
            rebuild_orders(session, IdRange(), {"details": Emptied()}, Patience())
        return really_save(*args)

    monkeypatch.setattr(writer, "save", save_late)
    projected = project(sessions, Emptied(), ids)

    assert (projected.versions, projected.failures) == (dict.fromkeys(ids, 3), {})
    assert items(sessions) == 0
