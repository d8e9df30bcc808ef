"""Delivering every hint several times and in random order, in place of what the web processes send."""

import random
import threading
from typing import Self

from celery import Celery

from tests.drills.journal import Acknowledgement, Journal
from tests.support.brokers import Broker
from tests.support.waiting import wait_until

TASK = "worker.tasks.project_event"
QUEUE = "orderlog"
TIMES = 3
MIXED = 300  # deliveries out of which the next is picked
MOST_WAITING = 100  # hints in the broker, so that the last delivery is not long in coming


class Deliveries:
    """Sends while its block runs, and the rest at its end."""

    def __init__(self, broker: Broker, journal: Journal, seed: int) -> None:
        self.sent = 0
        self._broker = broker
        self._journal = journal
        self._random = random.Random(f"{seed} deliveries")
        self._pool: list[Acknowledgement] = []
        self._taken = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        with celery(self._broker.url) as app, app.connection_for_write() as connection:
            producer = app.amqp.Producer(connection)
            while True:
                ending = self._ending.is_set()
                self._take()
                while self._pool and (ending or len(self._pool) > MIXED):
                    self._wait_for_room()
                    self._swap_random_to_end()
                    chosen = self._pool.pop()
                    app.send_task(TASK, (chosen.order_id, chosen.version), producer=producer)
                    self.sent += 1
                if ending:
                    return
                self._ending.wait(0.01)

    def _take(self) -> None:
        acknowledged = self._journal.last_acknowledged()
        self._pool += acknowledged[self._taken :] * TIMES
        self._taken = len(acknowledged)

    def _swap_random_to_end(self) -> None:
        chosen = self._random.randrange(len(self._pool))
        self._pool[chosen], self._pool[-1] = self._pool[-1], self._pool[chosen]

    def _wait_for_room(self) -> None:
        if self.sent % 50 == 0:
            wait_until(lambda: self._broker.hints_waiting() <= MOST_WAITING)


def celery(broker_url: str) -> Celery:
    """The service's own application knows one broker for as long as its process lives; the drills have another."""
    app = Celery(broker=broker_url, set_as_current=False)
    app.conf.update(task_default_queue=QUEUE, task_ignore_result=True)
    return app


def tasks_done(broker_url: str, workers: int) -> int:
    """How many hints so many workers have taken up, by their own count."""
    with celery(broker_url) as app:
        answers = app.control.inspect(timeout=5, limit=workers).stats() or {}
    return sum(stats["total"].get(TASK, 0) for stats in answers.values())
