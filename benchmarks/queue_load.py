"""Tasks through a real worker: as many as it can do, or at a steady pace."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from redis import Redis
from uuid_utils import uuid7

from benchmarks.comparators.empty_task import empty, note_seconds_since
from benchmarks.programs import pause, resume
from benchmarks.store_load import sessions_for
from core.command_handler import OrderCommandHandler
from core.event_sourcing.postgres_store import stores
from core.orders.commands import PlaceOrder
from worker.enqueue import Enqueuer
from worker.tasks import project_event

LONGEST_WAIT = 120.0  # seconds

# In seconds since 1970. PostgreSQL notes when each transaction committed, which for a worker's is when others see it;
# a row's xmin is the transaction that wrote it.
VISIBLE = """
    SELECT summary.order_id,
           extract(epoch FROM greatest(pg_xact_commit_timestamp(summary.xmin),
                                       pg_xact_commit_timestamp(details.xmin)))::float
    FROM order_summary_read_models AS summary
    JOIN order_details_read_models AS details USING (order_id)
    WHERE summary.order_id = ANY(%s)
"""

SHOWN = """
    SELECT (SELECT count(*) FROM order_summary_read_models WHERE order_id = ANY(%(ids)s)),
           (SELECT count(*) FROM order_details_read_models WHERE order_id = ANY(%(ids)s))
"""


def project_rate(redis: Redis, worker: int, ids: Sequence[str], database_url: str) -> float:
    """Tasks per second until both read models show the first event of each of these orders."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        return _drain_rate(redis, worker, project_event, ids, lambda: are_shown(connection, ids))


def are_shown(connection: Connection[Any], ids: Sequence[str]) -> bool:
    """Whether both read models have these orders."""
    return connection.execute(SHOWN, {"ids": list(ids)}).fetchone() == (len(ids), len(ids))


def empty_rate(redis: Redis, worker: int, ids: Sequence[str]) -> float:
    return _drain_rate(redis, worker, empty, ids, lambda: True)


def _drain_rate(redis: Redis, worker: int, task: Any, ids: Sequence[str], done: Callable[[], bool]) -> float:
    """The worker sleeps until all are enqueued, so that enqueueing costs it nothing."""
    pause(worker)
    for order_id in ids:
        task.apply_async((order_id, 1))
    started = time.monotonic()
    resume(worker)
    wait_until(lambda: not redis.llen("orderlog"))
    wait_until(done)
    return len(ids) / (time.monotonic() - started)


class Placing:
    """Orders placed one after another in this process, with a hint for each.

    By their ids it is kept when each was stored for good, in seconds since 1970."""

    def __init__(self, database_url: str) -> None:
        self.stored: dict[str, float] = {}
        self._handler = OrderCommandHandler(stores(sessions_for(database_url).kw["bind"]))
        self._enqueuer = Enqueuer()

    def place(self) -> None:
        command = PlaceOrder(order_id=str(uuid7()), customer_name="山田太郎", total_amount=83000)
        recorded = self._handler.handle(command).recorded
        self.stored[command.order_id] = time.time()
        self._enqueuer.enqueue(recorded)

    def close(self) -> None:
        self._enqueuer.close()


def sustained_rate(database_url: str, seconds: float) -> float:
    """Orders per second placed and projected at once, as fast as one process places them, until all are shown."""
    started = time.monotonic()
    with closing(Placing(database_url)) as placing:
        while time.monotonic() < started + seconds:
            placing.place()
    with psycopg.connect(database_url, autocommit=True) as connection:
        wait_until(lambda: are_shown(connection, list(placing.stored)))
    return len(placing.stored) / (time.monotonic() - started)


def visible_after(database_url: str, per_second: float, seconds: float) -> list[float]:
    """Milliseconds from an order's commit until both read models show it, one per order placed at this pace.

    The commit is over when the store has answered: only then is the event on disk."""
    with closing(Placing(database_url)) as placing:
        at_pace(placing.place, per_second, seconds)
    with psycopg.connect(database_url, autocommit=True) as connection:
        wait_until(lambda: are_shown(connection, list(placing.stored)))
        shown = connection.execute(VISIBLE, [list(placing.stored)]).fetchall()
    return [max(0.0, at - placing.stored[order_id]) * 1000 for order_id, at in shown]


def round_trips(path: Path, per_second: float, seconds: float) -> list[float]:
    """Milliseconds from just before an empty task is enqueued until it is done, at this pace; noted in a new file."""
    path.unlink(missing_ok=True)
    path.touch()
    number = at_pace(lambda: note_seconds_since.apply_async((time.time(), str(path))), per_second, seconds)
    wait_until(lambda: path.read_bytes().count(b"\n") == number)
    return [float(line) * 1000 for line in path.read_text().splitlines()]


def at_pace(call: Callable[[], object], per_second: float, seconds: float) -> int:
    """The number of calls made; one that takes too long delays those after it only as long as need be."""
    started, number = time.monotonic(), max(1, round(per_second * seconds))
    for each in range(number):
        time.sleep(max(0.0, started + each / per_second - time.monotonic()))
        call()
    return number


def wait_until(reached: Callable[[], bool], otherwise: str = "The worker has lost tasks, or has failed.") -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while not reached():
        if time.monotonic() > deadline:
            raise RuntimeError(f"Not reached in {LONGEST_WAIT:.0f} s. {otherwise}")
        time.sleep(0.01)
