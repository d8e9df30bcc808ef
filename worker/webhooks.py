"""The tasks of webhooks. They carry ids, and may be lost or repeated; what is to be sent stands in the database.

They have a queue and a process of their own, so that a slow receiver keeps no order from being projected."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

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

LONGEST_RUN = 2.0  # seconds; then other endpoints' tasks come first


@cache
def sessions() -> sessionmaker[Session]:
    return derived_session_factory(settings().database_url, pooled=settings().pooled)


@contextmanager
def giving_up(what: str) -> Iterator[None]:
    """A database or broker that is away is back some time, and Beat's next task asks for all that is due."""
    try:
        yield
    except (*DATABASE_ERRORS, OperationalError) as error:
        logger.warning("%s broke off (%s); the next task goes on.", what, describe(error))


@app.task(send_events=False)  # Flower would show little else
def dispatch_webhooks() -> None:
    """Note for every endpoint what is new, and have it sent; Beat sends this every second."""
    with giving_up("The dispatching to webhooks"):
        for webhook_id, orders in delivering.dispatch(sessions()).items():
            for _ in range(orders):
                deliver_webhook.apply_async((webhook_id,), **SOON)


@app.task
def deliver_webhook(webhook_id: str) -> None:
    """Send what is due to one endpoint, one event after the other."""
    until = time.monotonic() + LONGEST_RUN
    with giving_up("The sending to a webhook"), Sender(development=settings().development) as sender:
        while delivering.deliver(sessions(), sender, webhook_id) and time.monotonic() < until:
            pass


@app.task
def prune_webhooks() -> None:
    """Forget the attempts of more than 30 days ago, and tasks that no process of webhooks took; Beat sends this."""
    with sessions().begin() as session:
        logger.info("%d attempts of webhooks are forgotten.", delivering.prune(session))
    with app.connection_for_write() as connection:
        waiting = app.amqp.queues["orderlog.webhooks"](connection)
        waiting.declare()
        waiting.purge()  # Beat's next one asks for all that is due
