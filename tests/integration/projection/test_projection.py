"""Hints may be lost, doubled, late, out of order or concurrent: the read models come out the same."""

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing.postgres_store import PostgresEventStore
from core.projection.projector import fold, project
from core.read_models import details
from core.read_models.details import find_details, order_items
from core.read_models.header import OrderHeader
from core.read_models.summary import OrderFilter, SummaryProjector, list_orders
from core.read_models.wiring import PROJECTORS
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, LIFE, MICE_ADDED, ORDER_ID, PLACED
from tests.support.read_side import value
from tests.support.streams import append


def project_all(sessions: sessionmaker[Session], order_id: str = ORDER_ID) -> None:
    for projector in PROJECTORS.values():
        project(sessions, projector, [order_id])


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
        project_all(sessions)
        assert_shows_the_events(sessions)


def test_one_hint_is_enough_for_all_events_of_the_order(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    project_all(sessions)

    assert_shows_the_events(sessions)
    with sessions.begin() as session:
        details = find_details(session, ORDER_ID)
    assert details is not None
    assert details.version == 5
    assert details.items_total == Decimal("83000.00")


def test_a_hint_delivered_twice_changes_nothing(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    project_all(sessions)
    project_all(sessions)

    assert_shows_the_events(sessions)


def test_a_late_hint_does_not_bring_an_old_version_back(sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED])
    with sessions.begin() as session:
        early = list(PostgresEventStore(driver_connection(session)).read_stream(ORDER_ID))
    append(sessions, [MICE_ADDED, CONFIRMED], after=2)
    project_all(sessions)

    for projector in PROJECTORS.values():  # one that was paused after it had read saves only now
        with sessions.begin() as session:
            projector.save(session, list(fold(projector, early).values()))

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


def test_row_and_version_are_written_in_one_transaction(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash after the details row and before its items leaves neither."""
    append(sessions, [PLACED, LAPTOP_ADDED])

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(details, "upsert_parts", crash)
    with pytest.raises(KeyboardInterrupt):
        project(sessions, PROJECTORS["details"], [ORDER_ID])
    monkeypatch.undo()

    with sessions.begin() as session:
        assert find_details(session, ORDER_ID) is None
    project_all(sessions)
    assert_shows_the_events(sessions)


def wait_for_lock(sessions: sessionmaker[Session]) -> None:
    while not value(sessions, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
        pass


@pytest.mark.parametrize("name", PROJECTORS)
def test_who_waits_for_a_row_goes_on_from_what_the_other_has_written(
    sessions: sessionmaker[Session], name: str
) -> None:
    projector = PROJECTORS[name]
    append(sessions, [PLACED])
    project_all(sessions)
    append(sessions, [LAPTOP_ADDED, MICE_ADDED], after=1)
    with ThreadPoolExecutor(1) as thread:
        with sessions.begin() as session:
            stored = projector.lock(session, [ORDER_ID])
            waiting = thread.submit(project, sessions, projector, [ORDER_ID])
            wait_for_lock(sessions)
            [second] = list(PostgresEventStore(driver_connection(session)).read_stream(ORDER_ID, after=1))[:1]
            projector.save(session, [projector.evolve(stored[ORDER_ID], second)])
        projected = waiting.result(10)

    assert (projected.versions, projected.failures) == ({ORDER_ID: 3}, {})
    project_all(sessions)
    assert_shows_the_events(sessions)


class Overtaken(SummaryProjector):
    """Somebody makes the row when this one has found none."""

    def __init__(self, overtake: Callable[[], object]) -> None:
        self.overtake = overtake

    def lock(self, session: Session, order_ids: Sequence[str]) -> Mapping[str, OrderHeader]:
        session.execute(text("SELECT 1"))  # by now the events have been read
        self.overtake()
        return super().lock(session, order_ids)


def test_a_row_that_comes_into_being_meanwhile_is_gone_on_from(sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED])

    def overtake() -> None:
        append(sessions, [MICE_ADDED], after=2)
        project_all(sessions)

    projected = project(sessions, Overtaken(overtake), [ORDER_ID])

    assert (projected.versions, projected.failures) == ({ORDER_ID: 3}, {})
    assert_shows_the_events(sessions)
