"""Given an order's history, when something is asked of the order, then it records events or refuses."""

from collections.abc import Callable
from copy import deepcopy
from typing import TypeVar

from core.event_sourcing.event_store import NewEvent
from core.event_sourcing.in_memory_store import InMemoryEventStore
from core.orders.errors import OrderError
from core.orders.events import OrderEvent
from core.orders.order import Order
from tests.support.examples import NOON, ORDER_ID

Refusal = TypeVar("Refusal", bound=OrderError)


class Given:
    def __init__(self, history: tuple[OrderEvent, ...]) -> None:
        self._order = Order()
        self._order.replay(history)

    def when(self, ask: Callable[[Order], Order | None]) -> "When":
        """What is asked may return another order, as `Order.place` does."""
        before = deepcopy(vars(self._order))
        try:
            asked = ask(self._order)
        except OrderError as refusal:
            return When(self._order, before, refusal)
        return When(self._order if asked is None else asked, before, None)


class When:
    def __init__(self, order: Order, before: dict[str, object], refusal: OrderError | None) -> None:
        self._order = order
        self._before = before
        self._refusal = refusal

    def then(self, *recorded: OrderEvent) -> Order:
        if self._refusal is not None:
            raise self._refusal
        assert self._order.uncommitted_events == list(recorded)
        return self._order

    def then_one_event_or_a_refusal(self) -> None:
        """Exactly one event, or a refusal that has changed nothing."""
        if self._refusal is None:
            assert len(self._order.uncommitted_events) == 1
        else:
            assert vars(self._order) == self._before

    def refused(self, kind: type[Refusal]) -> Refusal:
        """The refusal, which has changed nothing."""
        assert type(self._refusal) is kind
        assert vars(self._order) == self._before
        return self._refusal


def given(*history: OrderEvent) -> Given:
    return Given(history)


def given_stored(*history: OrderEvent) -> InMemoryEventStore:
    """A store that holds this history of the example order."""
    store = InMemoryEventStore()
    store.append(ORDER_ID, 0, [NewEvent(event=event, occurred_at=NOON) for event in history])
    return store
