"""Appending to the event store as often as possible, here or in processes of its own."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context

from sqlalchemy.orm import Session, sessionmaker
from uuid_utils import uuid7

from core.command_handler import utc_now
from core.database import session_factory
from core.event_sourcing.event_store import NewEvent
from core.event_sourcing.postgres_store import stores
from core.orders.order import Order

HEAD_START = 0.3  # seconds, so that the processes begin together


@cache
def sessions_for(database_url: str) -> sessionmaker[Session]:
    """One pool of connections per process, as the service has."""
    return session_factory(database_url)


def append_placed(sessions: sessionmaker[Session]) -> None:
    """A new order's first event, in a transaction of its own."""
    now = utc_now()
    order = Order.place(order_id=str(uuid7()), customer_name="山田太郎", total_amount=83000, now=now)
    new = [NewEvent(event=event, occurred_at=now) for event in order.uncommitted_events]
    with stores(sessions.kw["bind"])() as store:
        store.append(order.id, 0, new)


def append_rate(database_url: str, threads: int, seconds: float, start_at: float = 0.0) -> float:
    sessions = sessions_for(database_url)
    return rate_in_threads(lambda: append_placed(sessions), threads, seconds, start_at)


def rate_in_threads(operation: Callable[[], object], threads: int, seconds: float, start_at: float = 0.0) -> float:
    """Calls per second that ended in time, all threads together; begins at `start_at` of the monotonic clock."""
    begin = max(start_at, time.monotonic())

    def count() -> int:
        time.sleep(max(0.0, begin - time.monotonic()))
        done = 0
        while True:
            operation()
            if time.monotonic() > begin + seconds:
                return done
            done += 1

    with ThreadPoolExecutor(threads) as pool:
        counting = [pool.submit(count) for _ in range(threads)]
        return sum(each.result() for each in counting) / seconds


class AppendingProcesses:
    """Stay alive between runs, so that no run pays for starting them."""

    def __init__(self, pool: ProcessPoolExecutor, processes: int) -> None:
        self._pool = pool
        self._processes = processes

    def rate(self, database_url: str, threads: int, seconds: float) -> float:
        """Appends per second of all processes, with so many threads each."""
        start_at = time.monotonic() + HEAD_START
        working = [
            self._pool.submit(append_rate, database_url, threads, seconds, start_at) for _ in range(self._processes)
        ]
        return sum(each.result() for each in working)


@contextmanager
def appending_processes(processes: int) -> Iterator[AppendingProcesses]:
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield AppendingProcesses(pool, processes)
