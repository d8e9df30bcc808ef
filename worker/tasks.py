"""The tasks. They carry ids, never events, and may be lost, repeated, late or out of order without harm."""

from functools import cache

from sqlalchemy.orm import Session, sessionmaker

from core.database import session_factory
from core.read_models.catch_up import catch_up as run_catch_up
from core.read_models.projector import project
from core.read_models.wiring import PROJECTORS
from core.settings import Settings
from worker.app import app


@cache
def sessions() -> sessionmaker[Session]:
    """Made by the first task, so that each worker process has connections of its own, opened after the fork."""
    return session_factory(Settings.load().database_url)


@app.task(autoretry_for=(Exception,), max_retries=5, retry_backoff=1, retry_backoff_max=60, retry_jitter=True)
def project_event(order_id: str, version: int) -> None:
    """Project the order's news into every read model; `version` is for the log and Flower."""
    errors = []
    for projector in PROJECTORS.values():
        try:
            project(sessions(), projector, order_id)
        except Exception as error:  # one projector's failure must not keep the order from the others
            errors.append(error)
    if errors:
        raise errors[0]


@app.task
def catch_up() -> None:
    """Project what hints have missed, for every read model; Beat sends this."""
    for name, projector in PROJECTORS.items():
        run_catch_up(sessions(), name, projector)
