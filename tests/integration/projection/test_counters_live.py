"""The counters are exact at every moment, while orders are projected, rebuilt, removed, folded and counted again."""

import random
import threading
from collections.abc import Callable
from functools import partial
from itertools import count

from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.streams import IdRange
from core.orders.events import OrderEvent
from core.projection.counters import CounterDifference
from core.projection.rebuild import rebuild_orders, recount
from core.projection.verify import verify_counters
from core.read_models.statistics import OrderCounters, statistics
from core.read_models.wiring import PROJECTORS
from core.settings import Patience
from tests.support.examples import CANCELLED, CONFIRMED, LAPTOP_ADDED, PLACED, SHIPPED
from tests.support.read_side import project_all, run, value
from tests.support.streams import append
from tests.support.threads import meanwhile

Sessions = sessionmaker[Session]

LIVES: list[list[OrderEvent]] = [
    [PLACED, LAPTOP_ADDED, CONFIRMED, SHIPPED],
    [PLACED, CANCELLED],
    [PLACED, LAPTOP_ADDED, CONFIRMED, CANCELLED],
]
LOOKS = 150


class FoldsAtOnce(OrderCounters):
    few = 1


def trade(sessions: Sessions, name: str, stop: threading.Event) -> None:
    for number in count():
        for version, event in enumerate(LIVES[number % len(LIVES)]):
            if stop.is_set():
                return
            append(sessions, [event], order_id=f"{name}-{number}", after=version)
            project_all(sessions, f"{name}-{number}")


def again_and_again(stop: threading.Event, act: Callable[[], None]) -> None:
    while not stop.is_set():
        act()


def fold(sessions: Sessions) -> None:
    with sessions.begin() as session:
        FoldsAtOnce().fold(session)


def rebuild_some(sessions: Sessions, dice: random.Random) -> None:
    first = dice.choice("ABC")
    with sessions.begin() as session:
        rebuild_orders(session, IdRange(first, chr(ord(first) + 1)), PROJECTORS, Patience())


def remove_some(sessions: Sessions, dice: random.Random) -> None:
    """Their next event, or the next rebuild, brings them back."""
    run(sessions, f"DELETE FROM order_summary_read_models WHERE order_id LIKE '%{dice.randrange(10)}'")


def test_the_counters_equal_the_rows_at_every_moment(sessions: Sessions) -> None:
    stop, dice = threading.Event(), random.Random(1)
    actions = [
        partial(fold, sessions),
        partial(fold, sessions),
        partial(recount, sessions, PROJECTORS),
        partial(rebuild_some, sessions, dice),
        partial(remove_some, sessions, dice),
    ]
    traders = [partial(trade, sessions, name, stop) for name in "ABC"]
    found: list[CounterDifference] = []
    looks, totals = 0, set[int]()

    with meanwhile(stop, *traders, *(partial(again_and_again, stop, act) for act in actions)):
        while looks < LOOKS or len(totals) < 10:
            looks += 1
            found += verify_counters(sessions, PROJECTORS)
            with sessions.begin() as session:
                totals.add(statistics(session).total_count)

    assert found == []
    assert verify_counters(sessions, PROJECTORS) == []


def test_the_migration_is_exact_while_orders_are_projected(app: Flask, sessions: Sessions) -> None:
    with app.app_context():
        downgrade(revision="0005")
    stop = threading.Event()

    with meanwhile(stop, *(partial(trade, sessions, name, stop) for name in "ABC")):
        wait_for_orders(sessions, 20)
        with app.app_context():
            upgrade()
        wait_for_orders(sessions, value(sessions, ORDERS) + 20)

    assert verify_counters(sessions, PROJECTORS) == []


ORDERS = "SELECT count(*) FROM order_summary_read_models"


def wait_for_orders(sessions: Sessions, number: int) -> None:
    while value(sessions, ORDERS) < number:
        threading.Event().wait(0.02)
