"""An event that a real read model cannot take, as the database refuses its row; and how that is mended."""

from sqlalchemy.orm import Session, sessionmaker

from core.projection.parking import project_patiently
from core.read_models.wiring import PROJECTORS
from core.settings import Patience
from tests.support.examples import LIFE, ORDER_ID
from tests.support.read_side import run
from tests.support.streams import append

TABLE = "order_summary_read_models"


def park(sessions: sessionmaker[Session], *order_ids: str) -> None:
    """Orders with the events of LIFE, of which the summary can take none; the details can."""
    run(sessions, f"ALTER TABLE {TABLE} ADD CONSTRAINT poisoned CHECK (customer_name <> '山田太郎')")
    ids = order_ids or (ORDER_ID,)
    for order_id in ids:
        append(sessions, LIFE, order_id=order_id)
    for name, model in PROJECTORS.items():
        project_patiently(sessions, name, model, ids, Patience(attempts=1))
    run(sessions, f"UPDATE projection_failures SET attempts = {Patience().attempts}")  # as the service itself parks


def mend(sessions: sessionmaker[Session]) -> None:
    run(sessions, f"ALTER TABLE {TABLE} DROP CONSTRAINT poisoned")
