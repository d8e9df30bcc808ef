"""What a projector is, and how one is run for an order: from its row's version to the end of the stream."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from sqlalchemy import Table
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.postgres_store import PostgresEventStore


class View(Protocol):
    """What a projector keeps of one order."""

    @property
    def order_id(self) -> str: ...
    @property
    def version(self) -> int: ...


SomeView = TypeVar("SomeView", bound=View)


class Projector(Protocol[SomeView]):
    """`tables` all have an `order_id`; the first has one row per order, with the `version` it shows."""

    @property
    def tables(self) -> tuple[Table, ...]: ...

    def lock(self, session: Session, order_ids: Sequence[str]) -> Mapping[str, SomeView]:
        """The stored views by order id, their rows locked until the transaction ends."""

    def evolve(self, view: SomeView | None, recorded: RecordedEvent) -> SomeView:
        """The view after one more event; None is before the first. Raises BrokenStream."""

    def save(self, session: Session, views: Sequence[SomeView]) -> None:
        """Write views evolved from what was stored, except those that somebody has brought further meanwhile."""

    def replace(self, session: Session, views: Sequence[SomeView], locked: Collection[str]) -> None:
        """Write views made from whole streams, the same; the orders in `locked` are overwritten whatever they show."""


def project(sessions: sessionmaker[Session], projector: Projector[SomeView], order_id: str) -> int:
    """Bring this order's view up to its stream; returns the version it now shows. Safe to repeat and run at once."""
    with sessions.begin() as session:
        view = projector.lock(session, [order_id]).get(order_id)
        shown = view.version if view else 0
        for recorded in PostgresEventStore(session).read_stream(order_id, after=shown):
            view = projector.evolve(view, recorded)
        if view is None or view.version == shown:
            return shown
        projector.save(session, [view])
        return view.version


def fold(projector: Projector[SomeView], stream: Iterable[RecordedEvent]) -> dict[str, SomeView]:
    """Views made from whole streams, by order id; streams may follow one another or be mixed."""
    views: dict[str, SomeView] = {}
    for recorded in stream:
        views[recorded.aggregate_id] = projector.evolve(views.get(recorded.aggregate_id), recorded)
    return views
