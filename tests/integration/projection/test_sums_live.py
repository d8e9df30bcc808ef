"""Sums are exact at every moment, while orders are projected, rebuilt, folded and counted again."""

import random
import threading
from collections.abc import Callable
from functools import partial
from itertools import count

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.streams import IdRange
from core.orders.events import OrderEvent
from core.projection import sums
from core.projection.catch_up import catch_up
from core.projection.rebuild import rebuild_orders
from core.projection.verify import Difference, verify_sums
from core.read_models.statistics import ORDERS_BY_STATUS, statistics
from core.read_models.wiring import PROJECTORS, SUMS
from core.settings import Patience
from tests.support.examples import CANCELLED, CONFIRMED, LAPTOP_ADDED, PLACED, SHIPPED
from tests.support.read_side import project_all
from tests.support.streams import append
from tests.support.threads import meanwhile

Sessions = sessionmaker[Session]

LIVES: list[list[OrderEvent]] = [
    [PLACED, LAPTOP_ADDED, CONFIRMED, SHIPPED],
    [PLACED, CANCELLED],
    [PLACED, LAPTOP_ADDED, CONFIRMED, CANCELLED],
]
LOOKS = 150


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
        sums.fold(session, ORDERS_BY_STATUS)


def recount(sessions: Sessions) -> None:
    with sessions.begin() as session:
        sums.recount(session, ORDERS_BY_STATUS)


def rebuild_some(sessions: Sessions, dice: random.Random) -> None:
    first = dice.choice("ABC")
    with sessions.begin() as session:
        rebuild_orders(session, IdRange(first, chr(ord(first) + 1)), PROJECTORS, Patience())


def catch_up_with_all(sessions: Sessions) -> None:
    for name, model in PROJECTORS.items():
        catch_up(sessions, name, model)


def test_the_sums_equal_the_rows_at_every_moment(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "FEW", 1)
    stop, dice = threading.Event(), random.Random(1)
    actions = [
        partial(fold, sessions),
        partial(fold, sessions),
        partial(recount, sessions),
        partial(rebuild_some, sessions, dice),
        partial(catch_up_with_all, sessions),
    ]
    traders = [partial(trade, sessions, name, stop) for name in "ABC"]
    found: list[Difference] = []
    looks, totals = 0, set[int]()

    with meanwhile(stop, *traders, *(partial(again_and_again, stop, act) for act in actions)):
        while looks < LOOKS or len(totals) < 10:
            looks += 1
            found += verify_sums(sessions, SUMS)
            with sessions.begin() as session:
                totals.add(statistics(session).total_count)

    assert found == []
    assert verify_sums(sessions, SUMS) == []
