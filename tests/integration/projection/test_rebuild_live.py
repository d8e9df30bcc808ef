"""Readers, while rebuilds run and orders go on: no row vanishes, no old version comes back, no count falls."""

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.database import connect
from core.event_sourcing.streams import IdRange
from core.projection import rebuild_plan
from core.projection.read_model import ReadModel
from core.projection.rebuild import rebuild_next_range, rebuild_orders
from core.projection.rebuild_plan import RebuildPlan
from core.projection.sums import recount
from core.read_models.details import find_details
from core.read_models.wiring import PROJECTORS, SUMS
from core.settings import Patience
from tests.support.examples import LAPTOP_ADDED, MICE_ADDED, PLACED
from tests.support.read_side import TABLES, project_all, shown
from tests.support.rebuilding import assert_equal_to_events
from tests.support.streams import append
from tests.support.threads import meanwhile
from tests.support.waiting import lock_waits, wait_until

ORDERS = 60
REBUILDS = 6

Sessions = sessionmaker[Session]
Seen = Mapping[Any, int]  # what a reader sees: a version, or how much there is, by order or item


@pytest.fixture
def orders(sessions: Sessions) -> list[str]:
    """Projected orders, their ids scattered over the alphabet."""
    ids = [f"{letter}-{n}" for n in range(ORDERS // 6) for letter in "AEIMQU"]
    for order_id in ids:
        append(sessions, [PLACED, LAPTOP_ADDED], order_id=order_id)
    project_all(sessions, *sorted(ids))
    return ids


def add_strays(sessions: Sessions, strays: Sequence[str], like: str) -> None:
    """Rows of orders that have no events, of a version that they will not reach."""
    with sessions.begin() as session:
        for table in TABLES:
            statement = f"""
                INSERT INTO {table}
                SELECT (jsonb_populate_record(row, jsonb_build_object('order_id', stray, 'version', 99))).*
                FROM {table} AS row, unnest(CAST(:strays AS text[])) AS stray
                WHERE row.order_id = :like
            """
            session.execute(text(statement), {"strays": strays, "like": like})
        for sums in SUMS.values():
            recount(session, sums)


def rebuild(sessions: Sessions) -> None:
    with RebuildPlan(sessions) as plan:
        while rebuild_next_range(sessions, plan.id, PROJECTORS, Patience()):
            pass
        assert plan.progress().ranges_left == 0


def details(sessions: Sessions) -> Seen:
    """Each read whole; all events after the first are items here."""
    with sessions.begin() as session:
        every = {order_id: find_details(session, order_id) for order_id in session.execute(ALL_IDS).scalars().all()}
    found = {order_id: order for order_id, order in every.items() if order is not None}
    for order_id, order in found.items():
        assert len(order.items) == order.version - 1, order_id
        assert order.items_total == sum(item.subtotal for item in order.items.values())
    return {order_id: order.version for order_id, order in found.items()}


def items(sessions: Sessions) -> Seen:
    with sessions.begin() as session:
        found = session.execute(text("SELECT order_id, version FROM order_item_read_models"))
        return {(row.order_id, row.version): row.version for row in found}


ALL_IDS = text("SELECT DISTINCT aggregate_id FROM events")


class Watch:
    """Reads again and again; `faults` is all that ever went backwards."""

    def __init__(self, read: Callable[[], Seen], stop: threading.Event) -> None:
        self.reads = 0
        self.faults: list[str] = []
        self._read, self._stop = read, stop

    def go_on(self) -> None:
        before: Seen = {}
        while not self._stop.is_set():
            seen = self._read()
            self.faults += [f"{key} vanished" for key in before.keys() - seen.keys()]
            self.faults += [f"{key}: {before[key]} to {seen[key]}" for key in before if seen.get(key, 0) < before[key]]
            before = seen
            self.reads += 1


def test_readers_see_only_progress_while_rebuilds_run_under_load(
    sessions: Sessions, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_plan, "EVENTS_PER_RANGE", 20)
    stop = threading.Event()
    watches = [Watch(partial(read, sessions), stop) for read in (shown, details, items)]

    def add_items() -> None:
        for version in itertools.count(2):
            for order_id in orders:
                if stop.is_set():
                    return
                append(sessions, [MICE_ADDED], order_id=order_id, after=version)
                project_all(sessions, order_id)

    def place_orders() -> None:
        for n in itertools.count():
            if stop.is_set():
                return
            order_id = f"{'BFJNRV'[n % 6]}-{n}"
            append(sessions, [PLACED, LAPTOP_ADDED], order_id=order_id)
            project_all(sessions, order_id)

    with meanwhile(stop, add_items, place_orders, *(watch.go_on for watch in watches)):
        for _ in range(REBUILDS):
            rebuild(sessions)

    for watch in watches:
        assert watch.faults == []
        assert watch.reads > REBUILDS
    assert len(shown(sessions)) > ORDERS
    assert_equal_to_events(sessions)


@contextmanager
def before_each_statement(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> Iterator[None]:
    """Of this thread, and before each COPY; what `act` itself sends does not count."""
    thread, acting = threading.get_ident(), False

    def interrupted(really: Callable[..., Any]) -> Callable[..., Any]:
        def send(cursor: psycopg.Cursor[Any], *args: Any, **options: Any) -> Any:
            nonlocal acting
            if threading.get_ident() == thread and not acting:
                acting = True
                act()
                acting = False
            return really(cursor, *args, **options)

        return send

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Cursor, "execute", interrupted(psycopg.Cursor.execute))
        patched.setattr(psycopg.Cursor, "copy", interrupted(psycopg.Cursor.copy))
        yield


def test_what_happens_between_any_two_statements_is_shown(
    sessions: Sessions, database_url: str, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each an order is placed, and the last one is changed and projected; before every third so are one that has
    been there and one whose id had rows without events: each that meets a lock needs a connection until the end."""
    new, strays = ([f"{kind}-{n}" for n in range(2 * ORDERS)] for kind in ("NEW", "STRAY"))
    append(sessions, [PLACED], order_id=new[0])
    add_strays(sessions, strays, like=orders[0])
    engine = connect(database_url, pool_size=80)
    others, statements = sessionmaker(engine), itertools.count()
    hints: list[Future[None]] = []
    with ThreadPoolExecutor(80) as workers:

        def interfere() -> None:
            n = next(statements)
            append(others, [PLACED], order_id=new[n + 1])
            append(others, [MICE_ADDED], order_id=new[n], after=1)
            changed = [new[n]]
            if n % 3 == 0:
                append(others, [MICE_ADDED], order_id=orders[n % ORDERS], after=2 + n // ORDERS)
                append(others, [PLACED, LAPTOP_ADDED], order_id=strays[n])
                changed += [orders[n % ORDERS], strays[n]]
            hints.extend(workers.submit(project_all, others, order_id) for order_id in changed)
            wait_until_done_or_locked(sessions, hints)  # those that meet a lock go on when the rebuild commits

        with before_each_statement(monkeypatch, interfere):
            rebuild_all(sessions, PROJECTORS)

    project_all(others, new[next(statements)])
    engine.dispose()
    assert next(statements) > 10
    assert_equal_to_events(sessions)


def test_rebuilds_at_once_wait_for_one_another_whatever_order_they_name(
    sessions: Sessions, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one begins when this one has locked the rows of its first read model."""
    one_order, other_order = PROJECTORS, dict(reversed(PROJECTORS.items()))
    statements = itertools.count()
    begun: list[Future[None]] = []
    with ThreadPoolExecutor(1) as meanwhile:

        def begin_other() -> None:
            if next(statements) == 1:
                begun.append(meanwhile.submit(rebuild_all, sessions, other_order))
                wait_until_done_or_locked(sessions, begun)

        with before_each_statement(monkeypatch, begin_other):
            rebuild_all(sessions, one_order)
        begun[0].result(10)

    assert_equal_to_events(sessions)


def wait_until_done_or_locked(sessions: Sessions, begun: Sequence[Future[None]]) -> None:
    wait_until(lambda: lock_waits(sessions) >= sum(not each.done() for each in begun))


def rebuild_all(sessions: Sessions, projectors: Mapping[str, ReadModel[Any]]) -> None:
    with sessions.begin() as session:
        rebuild_orders(session, IdRange(), projectors, Patience())
