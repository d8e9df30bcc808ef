"""Running commands: stored whole or not at all, and decided afresh after a lost race."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from core import command_handler
from core.command_handler import ATTEMPTS, ConcurrentChange, OrderCommandHandler
from core.event_sourcing.event_store import EventStore, NewEvent, RecordedEvent, Snapshot
from core.event_sourcing.in_memory_store import InMemoryEventStore
from core.idempotency import IdempotencyKey, KeyUsedForAnotherRequest, Outcome
from core.orders.commands import OrderCommand
from core.orders.errors import (
    EmptyOrderCannotBeConfirmed,
    InvalidValue,
    OnlyPendingOrdersTakeItems,
    OrderAlreadyPlaced,
    OrderError,
    OrderNotFound,
    ShippedOrCancelledOrdersCannotBeCancelled,
)
from core.orders.events import OrderEvent, OrderPlaced
from tests.support.examples import (
    ADD_LAPTOP,
    ADD_MICE,
    CANCEL,
    CANCELLED,
    CONFIRM,
    CONFIRMED,
    EVERY_STATE,
    LAPTOP_ADDED,
    LATER,
    ORDER_ID,
    PLACE,
    PLACED,
    SHIP,
    SHIPPED,
)
from tests.support.given import given_stored
from tests.support.lives import EVERY_CHANGE, EVERY_COMMAND, EVERY_LIFE

ACCEPTED: list[tuple[tuple[OrderEvent, ...], OrderCommand, OrderEvent]] = [
    ((), PLACE, replace(PLACED, placed_at=LATER)),
    (EVERY_STATE["pending and empty"], ADD_LAPTOP, replace(LAPTOP_ADDED, added_at=LATER)),
    (EVERY_STATE["pending with items"], CONFIRM, replace(CONFIRMED, confirmed_at=LATER)),
    (EVERY_STATE["confirmed"], SHIP, replace(SHIPPED, shipped_at=LATER)),
    (EVERY_STATE["confirmed"], CANCEL, replace(CANCELLED, cancelled_at=LATER)),
]


def handler_of(store: InMemoryEventStore) -> OrderCommandHandler:
    return OrderCommandHandler(store.open, clock=lambda: LATER)


def stored_in(store: InMemoryEventStore) -> list[OrderEvent]:
    return [recorded.event for recorded in store.read_all()]


@pytest.mark.parametrize(
    ("history", "command", "event"), ACCEPTED, ids=[type(command).__name__ for _, command, _ in ACCEPTED]
)
def test_a_command_stores_its_event(history: tuple[OrderEvent, ...], command: OrderCommand, event: OrderEvent) -> None:
    store = given_stored(*history)

    recorded = handler_of(store).handle(command, metadata={"correlation_id": "c-1"}).recorded

    assert recorded == [
        RecordedEvent(
            position=len(history) + 1,
            aggregate_id=ORDER_ID,
            version=len(history) + 1,
            event=event,
            metadata={"correlation_id": "c-1"},
            occurred_at=LATER,
        )
    ]
    assert list(store.read_stream(ORDER_ID))[len(history) :] == recorded


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda command: type(command).__name__)
def test_every_command_is_accepted_after_some_life(command: OrderCommand) -> None:
    stored = []
    for history in ((), *EVERY_LIFE.values()):
        with suppress(OrderError):
            stored.append(handler_of(given_stored(*history)).handle(command).recorded)

    assert stored
    assert {len(recorded) for recorded in stored} == {1}
    assert {(recorded.aggregate_id, recorded.occurred_at) for [recorded] in stored} == {(ORDER_ID, LATER)}


def test_commands_follow_one_another_through_a_whole_life() -> None:
    store = given_stored()
    commands: list[OrderCommand] = [PLACE, ADD_LAPTOP, ADD_MICE, CONFIRM, SHIP]
    for command in commands:
        handler_of(store).handle(command)

    assert [recorded.version for recorded in store.read_stream(ORDER_ID)] == [1, 2, 3, 4, 5]


def test_orders_have_streams_of_their_own() -> None:
    store = given_stored(PLACED, LAPTOP_ADDED)
    [recorded] = handler_of(store).handle(replace(PLACE, order_id="ORDER-002")).recorded

    assert (recorded.aggregate_id, recorded.version, recorded.position) == ("ORDER-002", 1, 3)
    assert len(list(store.read_stream(ORDER_ID))) == 2


def test_metadata_may_be_left_out() -> None:
    [recorded] = handler_of(given_stored()).handle(PLACE).recorded

    assert recorded.metadata == {}


def test_without_a_clock_an_event_carries_the_time_it_is() -> None:
    before = datetime.now(UTC)
    [recorded] = OrderCommandHandler(InMemoryEventStore().open).handle(PLACE).recorded

    assert before <= recorded.occurred_at <= datetime.now(UTC)
    assert isinstance(recorded.event, OrderPlaced)
    assert recorded.event.placed_at == recorded.occurred_at


@pytest.mark.parametrize("command", EVERY_CHANGE, ids=lambda command: type(command).__name__)
def test_there_must_be_an_order_to_change(command: OrderCommand) -> None:
    store = given_stored()
    with pytest.raises(OrderNotFound) as caught:
        handler_of(store).handle(command)

    assert str(caught.value) == "There is no order 'ORDER-001'."
    assert stored_in(store) == []


@pytest.mark.parametrize("history", EVERY_LIFE.values(), ids=EVERY_LIFE)
def test_an_order_is_placed_only_once_whatever_its_state(history: tuple[OrderEvent, ...]) -> None:
    store = given_stored(*history)
    with pytest.raises(OrderAlreadyPlaced) as caught:
        handler_of(store).handle(PLACE)

    assert str(caught.value) == ("Order ORDER-001 has already been placed; place the new order under another id.")
    assert stored_in(store) == list(history)


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (replace(PLACE, order_id="ORDER 002"), "order_id"),
        (replace(PLACE, order_id="ORDER-002", customer_name=""), "customer_name"),
        (replace(PLACE, order_id="ORDER-002", total_amount=0), "total_amount"),
        (replace(ADD_LAPTOP, product_name=""), "product_name"),
        (replace(ADD_LAPTOP, quantity=0), "quantity"),
        (replace(ADD_LAPTOP, unit_price=-1), "unit_price"),
        (replace(CANCEL, reason=""), "reason"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_wrong_value_stores_nothing(command: OrderCommand, field: str) -> None:
    store = given_stored(PLACED)
    with pytest.raises(InvalidValue) as caught:
        handler_of(store).handle(command)

    assert caught.value.field == field
    assert stored_in(store) == [PLACED]


def test_a_refusal_by_status_stores_nothing() -> None:
    store = given_stored(PLACED, CANCELLED)
    with pytest.raises(OnlyPendingOrdersTakeItems):
        handler_of(store).handle(ADD_LAPTOP)

    assert stored_in(store) == [PLACED, CANCELLED]


class ContestedStore:
    """Before each append one rival's command is run, so that the append loses; until there are no more rivals."""

    def __init__(self, store: InMemoryEventStore, rivals: Sequence[OrderCommand]) -> None:
        self.loads = 0
        self._store = store
        self._rivals = iter(rivals)

    def open(self) -> AbstractContextManager[EventStore]:
        return nullcontext(self)

    def read_stream(self, aggregate_id: str, after: int = 0) -> Iterator[RecordedEvent]:
        return self._store.read_stream(aggregate_id, after)

    def read_from_snapshot(self, aggregate_id: str, shape: int) -> tuple[Snapshot | None, Iterator[RecordedEvent]]:
        self.loads += 1
        return self._store.read_from_snapshot(aggregate_id, shape)

    def append(
        self, aggregate_id: str, expected_version: int, events: Sequence[NewEvent], **beside: Any
    ) -> list[RecordedEvent]:
        for rival in islice(self._rivals, 1):
            handler_of(self._store).handle(rival)
        return self._store.append(aggregate_id, expected_version, events, **beside)

    def outcome(self, key: IdempotencyKey) -> Outcome | None:
        return self._store.outcome(key)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which take no time here."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


@pytest.mark.parametrize("lost", [1, 2, ATTEMPTS - 1])
def test_a_lost_race_is_retried_from_a_fresh_load(lost: int, pauses: list[float]) -> None:
    store = given_stored(PLACED)
    contested = ContestedStore(store, rivals=[ADD_MICE] * lost)

    [recorded] = OrderCommandHandler(contested.open, clock=lambda: LATER).handle(ADD_LAPTOP).recorded

    assert (recorded.version, recorded.event) == (1 + lost + 1, replace(LAPTOP_ADDED, added_at=LATER))
    assert [each.version for each in store.read_stream(ORDER_ID)] == list(range(1, 1 + lost + 2))
    assert (contested.loads, len(pauses)) == (1 + lost, lost)


def test_losing_every_race_is_a_conflict_and_stores_nothing(pauses: list[float]) -> None:
    store = given_stored(PLACED)
    contested = ContestedStore(store, rivals=[ADD_MICE] * ATTEMPTS)
    with pytest.raises(ConcurrentChange) as caught:
        OrderCommandHandler(contested.open).handle(ADD_LAPTOP)

    assert str(caught.value) == (
        "Order ORDER-001 was being changed by others at the same time; send the command again."
    )
    names: list[Any] = [getattr(event, "product_name", None) for event in stored_in(store)]
    assert names == [None] + ["マウス"] * ATTEMPTS
    assert contested.loads == ATTEMPTS


def test_pauses_between_attempts_may_grow_but_none_follows_the_last(pauses: list[float]) -> None:
    contested = ContestedStore(given_stored(PLACED), rivals=[ADD_MICE] * ATTEMPTS)
    with pytest.raises(ConcurrentChange):
        OrderCommandHandler(contested.open).handle(ADD_LAPTOP)

    limits = [command_handler.LONGEST_FIRST_PAUSE * 2**attempt for attempt in range(ATTEMPTS - 1)]
    assert len(pauses) == len(limits)
    assert all(0 <= pause <= limit for pause, limit in zip(pauses, limits, strict=True))


def test_after_a_lost_race_the_rule_is_checked_again(pauses: list[float]) -> None:
    store = given_stored(*EVERY_STATE["confirmed"])
    contested = ContestedStore(store, rivals=[SHIP])
    with pytest.raises(ShippedOrCancelledOrdersCannotBeCancelled):
        OrderCommandHandler(contested.open).handle(CANCEL)

    assert stored_in(store) == [*EVERY_STATE["confirmed"], replace(SHIPPED, shipped_at=LATER)]


def test_losing_the_race_to_place_an_order_is_not_retried(pauses: list[float]) -> None:
    store = given_stored()
    contested = ContestedStore(store, rivals=[replace(PLACE, customer_name="佐藤花子")])
    with pytest.raises(OrderAlreadyPlaced):
        OrderCommandHandler(contested.open).handle(PLACE)

    [placed] = stored_in(store)
    assert isinstance(placed, OrderPlaced)
    assert placed.customer_name == "佐藤花子"
    assert pauses == []


KEY = IdempotencyKey(owner="one", key="key", request_hash=b"request", lifetime=timedelta(hours=24))


def test_a_command_sent_again_with_its_key_stores_nothing_and_has_the_first_outcome() -> None:
    store = given_stored(PLACED)
    first = handler_of(store).handle(ADD_LAPTOP, once=KEY)
    again = handler_of(store).handle(ADD_LAPTOP, once=KEY)

    assert first.outcome == again.outcome == Outcome(ORDER_ID, version=2, position=2)
    assert (len(first.recorded), again.recorded) == (1, [])
    assert stored_in(store) == [PLACED, replace(LAPTOP_ADDED, added_at=LATER)]


def test_the_first_outcome_outweighs_a_refusal() -> None:
    store = given_stored(PLACED, LAPTOP_ADDED)
    first = handler_of(store).handle(CONFIRM, once=KEY, expected_versions=[2])

    assert handler_of(store).handle(CONFIRM, once=KEY, expected_versions=[2]) == (first.outcome, [])
    assert handler_of(store).handle(CONFIRM, once=KEY) == (first.outcome, [])


def test_a_refused_command_leaves_its_key_free() -> None:
    store = given_stored(PLACED)
    with pytest.raises(EmptyOrderCannotBeConfirmed):
        handler_of(store).handle(CONFIRM, once=KEY)

    assert handler_of(store).handle(ADD_LAPTOP, once=KEY).recorded


def test_the_key_of_another_request_is_refused() -> None:
    store = given_stored(PLACED)
    handler_of(store).handle(ADD_LAPTOP, once=KEY)

    with pytest.raises(KeyUsedForAnotherRequest):
        handler_of(store).handle(ADD_MICE, once=replace(KEY, request_hash=b"something else"))
    assert len(stored_in(store)) == 2
