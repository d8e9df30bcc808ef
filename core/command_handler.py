"""Runs one command: load the order, let it decide, append its events; or find what an earlier request has done."""

import random
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from core.event_sourcing.event_store import OpenStore, PositionTaken, RecordedEvent, WrongExpectedVersion
from core.event_sourcing.repository import OrderRepository
from core.idempotency import IdempotencyKey, KeyUsed, Outcome
from core.orders.commands import OrderCommand, PlaceOrder
from core.orders.errors import OrderAlreadyPlaced, OrderError
from core.orders.order import decide, place
from core.orders.values import MAX_ITEMS

ATTEMPTS = 8
LONGEST_FIRST_PAUSE = 0.005


class ConcurrentChange(Exception):
    """Other commands changed the order each time this one had decided; nothing was stored, send it again."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"Order {order_id} was being changed by others at the same time; send the command again.")


class OrderHasMovedOn(Exception):
    """The order is not at the version that the command was meant for; `version` is the one it is at."""

    def __init__(self, order_id: str, version: int) -> None:
        super().__init__(f"Order {order_id} is at version {version} by now; read it again and decide afresh.")
        self.version = version


class Handled(NamedTuple):
    """What a command has done: now, by the events `recorded`; or, if there are none, when its key was first sent."""

    outcome: Outcome
    recorded: list[RecordedEvent]


def utc_now() -> datetime:
    return datetime.now(UTC)


class OrderCommandHandler:
    """Nothing is held between load and append; when `handle` returns, the events are committed."""

    def __init__(
        self, open_store: OpenStore, clock: Callable[[], datetime] = utc_now, max_items: int = MAX_ITEMS
    ) -> None:
        self._open_store = open_store
        self._clock = clock
        self._max_items = max_items

    def handle(
        self,
        command: OrderCommand,
        metadata: Mapping[str, str] | None = None,
        *,
        expected_versions: Collection[int] | None = None,
        once: IdempotencyKey | None = None,
    ) -> Handled:
        """Store the command's events and its key; or, if the key was stored before, return what was done then.

        Raises OrderError when the order refuses, OrderHasMovedOn when it is at none of `expected_versions`,
        ConcurrentChange after the last lost race, KeyUsedForAnotherRequest."""
        while True:
            try:
                recorded = self._run(command, metadata or {}, expected_versions, once)
            except (KeyUsed, OrderError, OrderHasMovedOn, ConcurrentChange) as refusal:
                if once is None:
                    raise
                with self._open_store() as store:  # after a refusal too: the first run may be what brought it about
                    outcome = store.outcome(once)
                if outcome is not None:
                    return Handled(outcome, [])
                if not isinstance(refusal, KeyUsed):
                    raise
                # The key had expired. It is free now, or another request has it again.
            else:
                last = recorded[-1]
                return Handled(Outcome(last.aggregate_id, last.version, last.position), recorded)

    def _run(
        self,
        command: OrderCommand,
        metadata: Mapping[str, str],
        expected_versions: Collection[int] | None,
        once: IdempotencyKey | None,
    ) -> list[RecordedEvent]:
        """Decide and append, from a fresh load after each lost race, and after the first append that follows a move of
        the database."""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0, LONGEST_FIRST_PAUSE * 2 ** (attempt - 1)))
            try:
                return self._attempt(command, metadata, expected_versions, once)
            except WrongExpectedVersion as lost_race:
                if isinstance(command, PlaceOrder):
                    raise OrderAlreadyPlaced(command.order_id) from lost_race
            except PositionTaken:
                if attempt == ATTEMPTS - 1:
                    raise
        raise ConcurrentChange(command.order_id)

    def _attempt(
        self,
        command: OrderCommand,
        metadata: Mapping[str, str],
        expected_versions: Collection[int] | None,
        once: IdempotencyKey | None,
    ) -> list[RecordedEvent]:
        with self._open_store() as store:
            orders = OrderRepository(store)
            now, replayed = self._clock(), 0
            if isinstance(command, PlaceOrder):
                order = place(command, now, self._max_items)
            else:
                order, last_event_at, replayed = orders.load(command.order_id)
                if expected_versions is not None and order.version not in expected_versions:
                    raise OrderHasMovedOn(command.order_id, order.version)
                now = max(now, last_event_at)  # clocks differ, but an order's history never runs backwards
                decide(order, command, now, self._max_items)
            return orders.save(order, now=now, metadata=metadata, once=once, replayed=replayed)
