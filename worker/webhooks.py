"""Sending to webhooks: a thread looks what is new, and tasks send it. They carry ids, and may be lost or repeated; what
is to be sent stands in the database.

They have a queue and a process of their own, so that a slow receiver keeps no order from being projected; the thread
waits for no receiver either."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import BoundedSemaphore, Thread
from typing import Any

from celery.signals import worker_ready
from kombu.exceptions import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from core.database import derived_session_factory
from core.safe_errors import DATABASE_ERRORS, describe
from core.webhooks import delivering
from core.webhooks.sending import Sender
from worker.app import app
from worker.broker import SOON
from worker.settings import settings

logger = logging.getLogger(__name__)

QUEUE = "orderlog.webhooks"
DISPATCH_SECONDS = 1.0
MOST_TASKS = 200  # that wait; while there are more, none are added
LONGEST_RUN = 2.0  # seconds; then other endpoints' tasks come first
RISKY = BoundedSemaphore(8)  # half of the threads that the Procfile says


@cache
def sessions() -> sessionmaker[Session]:
    return derived_session_factory(settings().database_url, pooled=settings().pooled)


@contextmanager
def giving_up(what: str) -> Iterator[None]:
    """A database or broker that is away is back some time, and the next dispatch asks for all that is due."""
    try:
        yield
    except (*DATABASE_ERRORS, OperationalError) as error:
        logger.warning("%s broke off (%s); the next one goes on.", what, describe(error))


def dispatch() -> None:
    """Note for every endpoint what is new, and have it sent."""
    ready = delivering.dispatch(sessions())
    if not any(ready.values()):
        return
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1)  # or a broker that is away would be waited for
        queue: Any = app.amqp.queues[QUEUE](connection)
        if queue.queue_declare().message_count > MOST_TASKS:
            return
    for webhook_id, orders in ready.items():
        for _ in range(orders):
            deliver_webhook.apply_async((webhook_id,), **SOON)


def dispatch_for_ever() -> None:
    """Every second, whatever happens."""
    while True:
        try:
            with giving_up("The dispatching to webhooks"):
                dispatch()
        except Exception:  # the next one must find this thread alive
            logger.exception("The dispatching to webhooks failed; the next one tries again.")
        time.sleep(DISPATCH_SECONDS)


def start(sender: Any, **_: Any) -> None:
    """In a process that takes these tasks, beside the threads that run them."""
    if QUEUE in sender.app.amqp.queues.consume_from:
        Thread(target=dispatch_for_ever, name="dispatch", daemon=True).start()


worker_ready.connect(start)


@app.task
def deliver_webhook(webhook_id: str) -> None:
    """Send what is due to one endpoint, one event after the other."""
    until = time.monotonic() + LONGEST_RUN
    with giving_up("The sending to a webhook"), Sender(development=settings().development) as sender:
        while delivering.deliver(sessions(), sender, webhook_id, RISKY) and time.monotonic() < until:
            pass


@app.task
def prune_webhooks() -> None:
    """Forget the attempts of more than 30 days ago and of deleted endpoints; Beat sends this every hour."""
    with sessions().begin() as session:
        logger.info("%d attempts of webhooks are forgotten.", delivering.prune(session))
