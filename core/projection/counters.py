"""Sums over all rows of a read model, kept beside them so that nobody needs to count the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class CounterDifference:
    """A counter that does not hold what the read model's rows add up to."""

    projector: str
    counter: str
    stored: object
    counted: object


class Counters(Protocol):
    """Whoever changes rows changes these in the same transaction, by triggers."""

    def fold(self, session: Session) -> None:
        """Add up the changes noted so far, if they are many. Does nothing while another is at it."""

    def recount(self, session: Session) -> None:
        """Set them to what the rows add up to, while rows change. To be the first in its transaction."""

    def differences(self, session: Session) -> Sequence[CounterDifference]:
        """Compared with the rows as the same snapshot shows them."""
