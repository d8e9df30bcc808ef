"""The tasks. They carry ids, never events, and may be lost, repeated, late or out of order without harm."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import cache

from sqlalchemy.orm import Session, sessionmaker

from core.database import derived_session_factory
from core.idempotency import prune
from core.read_models.catch_up import alone
from core.read_models.catch_up import catch_up as run_catch_up
from core.read_models.faults import describe
from core.read_models.parking import project_patiently
from core.read_models.projector import will_pass
from core.read_models.rebuild import rebuild_next_range
from core.read_models.wiring import PROJECTORS
from core.settings import Patience, Settings
from worker.app import app

logger = logging.getLogger(__name__)


@cache
def sessions() -> sessionmaker[Session]:
    """Made by the first task, so that each worker process has connections of its own, opened after the fork."""
    return derived_session_factory(Settings.load().database_url)


@cache
def patience() -> Patience:
    return Settings.load().patience


@app.task
def project_event(order_id: str, version: int) -> None:
    """Project the order's news into every read model; `version` is for the log and Flower."""
    for name, projector in PROJECTORS.items():
        try:
            project_patiently(sessions(), name, projector, [order_id], patience())
        except Exception as error:
            if not will_pass(error):
                raise
            logger.warning("Order %s not projected into %s (%s); catch-up will.", order_id, name, describe(error))


@app.task
def catch_up() -> None:
    """Project what hints have missed, for every read model; Beat sends this."""
    for name, projector in PROJECTORS.items():
        try:
            with alone(sessions(), name) as nobody_else:
                if nobody_else:
                    run_catch_up(sessions(), name, projector, patience())
        except Exception as error:
            if not will_pass(error):
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
