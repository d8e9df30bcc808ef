"""The tasks. They carry ids, never events, and may be lost, repeated, late or out of order without harm."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from celery.signals import worker_process_shutdown
from sqlalchemy.orm import Session, sessionmaker

from core.database import derived_session_factory
from core.idempotency import prune
from core.projection.catch_up import alone
from core.projection.catch_up import catch_up as run_catch_up
from core.projection.parking import project_patiently
from core.projection.projector import Projector
from core.projection.rebuild import rebuild_next_range
from core.read_models.wiring import PROJECTORS
from core.safe_errors import describe, is_transient, waited_for_lock
from core.settings import Patience, Settings
from worker.app import app
from worker.hints import Hints
from worker.once import Once

logger = logging.getLogger(__name__)

LONGEST_LOCK = "2s"  # a row that somebody holds longer is left to the next catch-up, which comes as often


@Once
def sessions() -> sessionmaker[Session]:
    """Made by the first task, so that each worker process has connections of its own, opened after the fork."""
    return derived_session_factory(Settings.load().database_url, lock_timeout=LONGEST_LOCK)


@Once
def patience() -> Patience:
    return Settings.load().patience


@app.task
def project_event(order_id: str, version: int) -> None:
    """Have the order's news projected into every read model; `version` is for the log and Flower."""
    hints().add(order_id)


@Once
def hints() -> Hints:
    """Made by the first task, like the sessions."""
    return Hints(project_orders)


def project_orders(order_ids: Sequence[str]) -> None:
    """Into every read model, each in a transaction of its own. Never raises: catch-up tries again."""
    for name, projector in PROJECTORS.items():
        _project_into(name, projector, order_ids)


def _project_into(name: str, projector: Projector[Any], order_ids: Sequence[str]) -> None:
    try:
        project_patiently(sessions(), name, projector, order_ids, patience())
    except Exception as error:  # whatever it is, the next hints must find this thread alive
        if len(order_ids) > 1 and waited_for_lock(error):
            for order_id in order_ids:
                _project_into(name, projector, [order_id])
            return
        what = (name, ", ".join(order_ids), describe(error))
        unexpected = None if is_transient(error) else error
        logger.warning("Not projected into %s: %s (%s); catch-up will.", *what, exc_info=unexpected)


def finish(**_: Any) -> None:
    """What tasks have told of is projected before the process ends."""
    if hints.made:
        hints.made.finish()


@app.task
def catch_up() -> None:
    """Project what hints have missed, for every read model; Beat sends this."""
    for name, projector in PROJECTORS.items():
        try:
            with alone(sessions(), name) as nobody_else:
                if nobody_else:
                    run_catch_up(sessions(), name, projector, patience())
        except Exception as error:
            if not is_transient(error):
                raise
            logger.warning("Catch-up of %s broke off (%s); the next one goes on.", name, describe(error))


@app.task
def prune_idempotency_keys() -> None:
    """Delete the keys that have expired; Beat sends this."""
    with sessions().begin() as session:
        number = prune(session, timedelta(hours=Settings.load().idempotency_hours))
    logger.info("%d idempotency keys had expired.", number)


@app.task
def rebuild_range(rebuild_id: str, names: Sequence[str]) -> None:
    """Help `flask rebuild --on-workers` with its next range of orders, if one is left."""
    rebuild_next_range(sessions(), rebuild_id, {name: PROJECTORS[name] for name in names}, patience())


worker_process_shutdown.connect(finish)
