"""The tasks. `project_event` only queues the id of an order that has news; a thread of the worker process
projects the queued orders in batches.

A task costs Celery more than its event costs PostgreSQL. So while the thread projects some orders, the tasks that come
queue more, and one transaction projects them all. Tasks carry ids, never events, and may be lost, repeated, late or out
of order without harm.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from datetime import timedelta
from functools import cache
from threading import Condition, Thread
from typing import Any

from celery.signals import worker_process_shutdown

from core.database import derived_session_factory
from core.idempotency import prune
from core.projection.catch_up import alone
from core.projection.catch_up import catch_up as run_catch_up
from core.projection.parking import project_patiently
from core.read_models.wiring import PROJECTORS
from core.safe_errors import describe, is_transient, waited_for_lock
from worker.app import app
from worker.settings import settings

logger = logging.getLogger(__name__)

MOST = 50  # orders that are queued and not taken; the next task waits, so that other workers get what follows
LONGEST_REST = 0.02  # seconds
LONGEST_END = 10.0  # seconds; what is not projected by then is left to catch-up
LONGEST_LOCK = "2s"  # a row that somebody holds longer is left to the next catch-up, which comes as often


@app.task
def project_event(order_id: str, version: int) -> None:
    """Queue an order that has news; `version` is for the log and Flower."""
    process().hints.add(order_id)


class Hints:
    """The orders that tasks have queued. A thread takes all there are and projects them together."""

    def __init__(self, project: Callable[[Sequence[str]], None]) -> None:
        """`project` must not raise."""
        self._project = project
        self._queued: dict[str, Context] = {}
        self._changed = Condition()
        self._finished = False
        self._thread = Thread(target=self._work, name="project", daemon=True)
        self._thread.start()

    def add(self, order_id: str) -> None:
        """Queue an order; waits while there is no room."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._queued) < MOST)
            self._queued[order_id] = copy_context()
            self._changed.notify_all()

    def finish(self, seconds: float = LONGEST_END) -> None:
        """Project what is queued, and end the thread; returns after so many seconds at the latest."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()
        self._thread.join(seconds)

    def _work(self) -> None:
        while queued := self._take():
            began = time.monotonic()
            if len(queued) == 1:  # its log lines then carry the id of its request
                [(order_id, context)] = queued.items()
                context.run(self._project, [order_id])
            else:
                self._project(sorted(queued))
            if self._queued:  # tasks come quickly: a rest as long as the work makes the next batch larger
                time.sleep(min(time.monotonic() - began, LONGEST_REST))

    def _take(self) -> dict[str, Context]:
        """All that are queued, once there are any; none when it is finished."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._queued) or self._finished)
            queued, self._queued = self._queued, {}
            self._changed.notify_all()
            return queued


class Process:
    """What a worker process keeps from task to task: its connections, and the thread that projects."""

    def __init__(self) -> None:
        url, pooled = settings().database_url, settings().pooled
        self.sessions = derived_session_factory(url, pooled=pooled, lock_timeout=LONGEST_LOCK)
        self.hints = Hints(self.project)

    def project(self, order_ids: Sequence[str]) -> None:
        """Bring these orders' rows up to their streams, in one transaction per read model. Never raises."""
        for name in PROJECTORS:
            self._project_into(name, order_ids)

    def _project_into(self, name: str, order_ids: Sequence[str]) -> None:
        try:
            project_patiently(self.sessions, name, PROJECTORS[name], order_ids, settings().patience)
        except Exception as error:  # whatever it is, the next hints must find this thread alive
            if len(order_ids) > 1 and waited_for_lock(error):
                for order_id in order_ids:  # one order's row is locked; the others need not wait for it
                    self._project_into(name, [order_id])
                return
            what = (name, ", ".join(order_ids), describe(error))
            unexpected = None if is_transient(error) else error
            logger.warning("Not projected into %s: %s (%s); catch-up will.", *what, exc_info=unexpected)


@cache
def process() -> Process:
    """Made by a process's first task, so after the fork, which neither connections nor threads survive."""
    return Process()


def finish(**_: Any) -> None:
    """Project what tasks have queued before the process ends."""
    if process.cache_info().currsize:  # it has had a task
        process().hints.finish()


worker_process_shutdown.connect(finish)


class CatchUpFailed(Exception):
    """What stopped these read models does not pass by itself; the log has each error above this one."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"Catch-up failed for {', '.join(names)}.")


@app.task
def catch_up() -> None:
    """Project what hints have missed, for every read model; Beat sends this. Raises CatchUpFailed."""
    sessions, failed = process().sessions, []
    for name, projector in PROJECTORS.items():
        try:
            with alone(sessions, name) as nobody_else:
                if nobody_else:
                    run_catch_up(sessions, name, projector, settings().patience)
        except Exception as error:
            unexpected = None if is_transient(error) else error
            if unexpected:
                failed.append(name)
            what = (name, describe(error))
            logger.warning("Catch-up of %s broke off (%s); the next one goes on.", *what, exc_info=unexpected)
    if failed:
        raise CatchUpFailed(failed)


@app.task
def prune_idempotency_keys() -> None:
    """Delete the keys that have expired; Beat sends this."""
    with process().sessions.begin() as session:
        number = prune(session, timedelta(hours=settings().idempotency_hours))
    logger.info("%d idempotency keys had expired.", number)
