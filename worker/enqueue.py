"""Telling the workers about committed events, without ever making a command wait for a broker that is away."""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillSending
from contextvars import copy_context
from functools import partial
from threading import BoundedSemaphore

from kombu import Connection

from core.event_sourcing.event_store import RecordedEvent
from worker.app import app
from worker.task_logs import REQUEST_ID
from worker.tasks import project_event

logger = logging.getLogger(__name__)

# How long a command waits for the broker, and how long a hint is worth sending before catch-up is quicker; seconds.
PATIENCE = 0.04
WORTH_SENDING = 1.0
MOST_WAITING = 1000


class Enqueuer:
    """Sends hints from a thread of its own over a connection of its own. Make one per process, after any fork."""

    def __init__(self) -> None:
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="enqueue")
        self._room = BoundedSemaphore(MOST_WAITING)
        self._connection: Connection | None = None
        self._overdue = False

    def enqueue(self, recorded: Iterable[RecordedEvent]) -> None:
        """One task per event. Never raises and waits 40 ms at the most; what is not sent is left to catch-up."""
        for each in recorded:
            if not self._room.acquire(blocking=False):
                logger.warning("No room to enqueue order %s; catch-up will project it.", each.aggregate_id)
                continue
            send = partial(self._send, each.aggregate_id, each.version, time.monotonic(), _headers(each))
            sending = self._sender.submit(copy_context().run, send)  # its log lines are the request's
            sending.add_done_callback(lambda _: self._room.release())
            self._wait(sending)

    def _wait(self, sending: "Future[None]") -> None:
        """While one hint is overdue, later commands do not wait for theirs at all."""
        try:
            sending.result(timeout=0 if self._overdue else PATIENCE)
        except StillSending:
            self._overdue = True

    def _send(self, order_id: str, version: int, since: float, headers: dict[str, str]) -> None:
        try:
            if time.monotonic() - since > WORTH_SENDING:
                raise TimeoutError("the broker was away for too long")
            if self._connection is None:
                self._connection = connect()
            producer = app.amqp.Producer(self._connection, auto_declare=False)
            project_event.apply_async((order_id, version), producer=producer, retry=False, headers=headers)
        except Exception as error:  # whatever it is, the event is stored and the answer must go out
            logger.warning("Order %s version %s not enqueued (%s); catch-up will project it.", order_id, version, error)
            self._disconnect()
        else:
            self._overdue = False

    def close(self) -> None:
        """Send what waits, and disconnect."""
        self._sender.submit(self._disconnect)
        self._sender.shutdown()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()


def _headers(recorded: RecordedEvent) -> dict[str, str]:
    """The request that brought the event about, for the task's log lines."""
    request_id = recorded.metadata.get("correlation_id")
    return {REQUEST_ID: request_id} if request_id else {}


def connect() -> Connection:
    """A connection that gives up at its first failure."""
    options = {"max_retries": 0, "socket_connect_timeout": 1, "socket_timeout": 1}
    return app.connection_for_write(transport_options=options)
