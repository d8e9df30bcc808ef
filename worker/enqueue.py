"""Telling the workers about committed events, without ever making a command wait for the broker."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, NamedTuple

from kombu import Connection, Producer

from core.event_sourcing.event_store import RecordedEvent
from core.safe_errors import describe
from worker.app import app
from worker.broker import SOON, connect, has_gone
from worker.task_logs import REQUEST_ID
from worker.tasks import project_event

logger = logging.getLogger(__name__)

LONGEST_REST = 0.005  # seconds; a rest as long as the sending before it lets more gather
WORTH_SENDING = 1.0  # seconds; after that catch-up is quicker
MOST_WAITING = 1000


class Hint(NamedTuple):
    """`since` is when it was asked for, on the monotonic clock; its log lines belong to the request's `context`."""

    order_id: str
    version: int
    headers: dict[str, str]
    since: float
    context: Context


class Enqueuer:
    """Sends hints from a thread of its own over a connection of its own. Make one per process, after any fork.

    Those that are waiting when it comes to send go together, in one message to the broker."""

    def __init__(self) -> None:
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="enqueue")
        self._waiting: deque[Hint] = deque()
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def enqueue(self, recorded: Iterable[RecordedEvent]) -> None:
        """One task per event. Never raises and never waits; what cannot be sent soon is left to catch-up."""
        for each in recorded:
            if len(self._waiting) >= MOST_WAITING:
                logger.warning("No room to enqueue order %s; catch-up will project it.", each.aggregate_id)
                continue
            hint = Hint(each.aggregate_id, each.version, _headers(each), time.monotonic(), copy_context())
            self._waiting.append(hint)
            try:
                self._sender.submit(self._send_waiting)
            except RuntimeError as error:  # this process is ending
                self._give_up(hint, error)

    def _give_up(self, hint: Hint, error: Exception) -> None:
        """Unless a call that was there before has taken it along."""
        with suppress(ValueError):
            self._waiting.remove(hint)
            _tell_not_enqueued(hint, error)

    def _send_waiting(self) -> None:
        """There is a call for each hint, but the first takes along all that are there, and more gather meanwhile."""
        if not self._waiting:
            return
        began = time.monotonic()
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        hints = [hint for hint in taken if _is_worth_sending(hint)]
        try:
            self._send(hints)
        except Exception as error:  # whatever it is, the events are stored and the answers must go out
            for hint in hints:
                hint.context.run(_tell_not_enqueued, hint, error)
            self._disconnect()
        time.sleep(min(time.monotonic() - began, LONGEST_REST))

    def _send(self, hints: Sequence[Hint]) -> None:
        if not hints:
            return
        if self._connection is not None and has_gone(self._connection):
            self._disconnect()
        if self._producer is None:
            self._connection = connect()
            self._producer = app.amqp.Producer(self._connection, auto_declare=False)
            self._producer.maybe_declare(app.amqp.queues[app.conf.task_default_queue])
        producer = self._producer
        with producer.batch():  # type: ignore[attr-defined]  # of kombu 5.7, which the stubs do not know
            for hint in hints:
                project_event.apply_async((hint.order_id, hint.version), producer=producer, **_options(hint))

    def close(self) -> None:
        """Send what waits, and disconnect."""
        self._sender.shutdown()
        self._disconnect()

    def _disconnect(self) -> None:
        """Without a farewell: a RabbitMQ that takes nothing, for want of memory or disk, would be waited for."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.collect()


def _options(hint: Hint) -> dict[str, Any]:
    """Without what Celery would else work out for each: its representation for Flower, and that the queue is there."""
    shown = {"argsrepr": f"({hint.order_id!r}, {hint.version})", "kwargsrepr": "{}"}
    return {"headers": hint.headers, "declare": (), **shown, **SOON}


def _is_worth_sending(hint: Hint) -> bool:
    if time.monotonic() - hint.since <= WORTH_SENDING:
        return True
    hint.context.run(_tell_not_enqueued, hint, TimeoutError("the broker was away for too long"))
    return False


def _tell_not_enqueued(hint: Hint, error: Exception) -> None:
    told = (hint.order_id, hint.version, describe(error))
    logger.warning("Order %s version %s not enqueued (%s); catch-up will project it.", *told)


def _headers(recorded: RecordedEvent) -> dict[str, str]:
    """The request that brought the event about, for the task's log lines."""
    request_id = recorded.metadata.get("correlation_id")
    return {REQUEST_ID: request_id} if request_id else {}
