"""Rebuilds that an operator has asked for by the console. Tasks carry a read model's name, and may be lost or repeated.

A task works for a moment and then sends itself again, so that hints and catch-up do not wait for a long rebuild, nor
does a worker that is to end."""

import logging
from functools import cache

from kombu.exceptions import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from core.database import session_factory
from core.projection.rebuild_requests import take_stalled, work_on
from core.read_models.wiring import PROJECTORS
from core.safe_errors import DATABASE_ERRORS, describe
from worker.app import app
from worker.broker import SOON, connect, faults
from worker.settings import settings

logger = logging.getLogger(__name__)

LONGEST_RUN = 2.0  # seconds; then other tasks come first


@cache
def sessions() -> sessionmaker[Session]:
    return session_factory(settings().database_url, pooled=settings().pooled)


@app.task
def rebuild_read_model(name: str) -> None:
    """Work on the rebuild of this read model that was asked for, if there is one."""
    model = PROJECTORS.get(name)
    if model is None:
        return  # another release knows it
    try:
        if work_on(sessions(), name, model, settings().patience, seconds=LONGEST_RUN):
            rebuild_read_model.apply_async((name,), **SOON)
    except (*DATABASE_ERRORS, OperationalError) as error:
        logger.warning("The rebuild of %s broke off (%s); it goes on in a few seconds.", name, describe(error))


@app.task
def resume_rebuilds() -> None:
    """Hint again at rebuilds that nobody works on; Beat sends this."""
    try:
        with sessions().begin() as session:
            stalled = take_stalled(session)
        for name in stalled:
            rebuild_read_model.apply_async((name,), **SOON)
    except (*DATABASE_ERRORS, OperationalError) as error:
        logger.warning("No rebuild was resumed (%s); the next task looks again.", describe(error))


def hint(name: str) -> None:
    """Tell the workers that a rebuild was asked for. Never raises: what is not heard is resumed in a few seconds."""
    connection = connect()
    try:
        producer = app.amqp.Producer(connection, auto_declare=False)
        rebuild_read_model.apply_async((name,), producer=producer, **SOON)
    except faults(connection) as error:
        logger.warning("The rebuild of %s is not enqueued (%s); it begins in a few seconds.", name, error)
    finally:
        connection.collect()
