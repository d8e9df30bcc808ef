"""Projectors that fail, and what is known of the orders that they fail on."""

from core.event_sourcing.event_store import RecordedEvent
from core.projection.parking import FailingOrder, failures_of, project_patiently
from core.read_models.header import OrderHeader
from core.read_models.summary import SummaryReadModel
from core.read_models.wiring import PROJECTORS
from core.settings import Patience
from tests.support.examples import ORDER_ID
from tests.support.read_side import Sessions, run

AT_ONCE = Patience(attempts=1)
THRICE = Patience(attempts=3)


class CannotApply(Exception):
    """What a projector with a mistake might raise."""


class Failing(SummaryReadModel):
    """Cannot apply this version of some orders, which are mended by leaving the set."""

    def __init__(self, version: int, *order_ids: str) -> None:
        self.sums = PROJECTORS["summary"].sums
        self.version = version
        self.order_ids = set(order_ids)

    def evolve(self, row: OrderHeader | None, recorded: RecordedEvent) -> OrderHeader:
        if recorded.version == self.version and recorded.aggregate_id in self.order_ids:
            customer = row.customer_name if row else "nobody"
            raise CannotApply(f"nothing can be done for {customer}")
        return super().evolve(row, recorded)


def hint(sessions: Sessions, projector: Failing, patience: Patience = THRICE) -> None:
    """As a hint for the example order does."""
    project_patiently(sessions, "summary", projector, [ORDER_ID], patience)


def failure(sessions: Sessions, order_id: str = ORDER_ID, name: str = "summary") -> FailingOrder | None:
    with sessions.begin() as session:
        return next(iter(failures_of(session, [name], order_id)), None)


def end_pauses(sessions: Sessions) -> None:
    """Let every order that is to be tried again be due."""
    run(sessions, "UPDATE projection_failures SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")
