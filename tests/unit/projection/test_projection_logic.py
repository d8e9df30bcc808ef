"""What read models make of events, without a database."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.streams import BrokenStream
from core.orders.events import OrderEvent
from core.orders.order import Order
from core.projection.project import advance, fold, fold_until_failures
from core.projection.read_model import ReadModel
from core.read_models.details import DetailsReadModel, OrderDetails, OrderItem
from core.read_models.header import OrderHeader, header_fields
from core.read_models.summary import SummaryReadModel
from core.read_models.wiring import PROJECTORS
from tests.support.examples import (
    CANCELLED,
    CONFIRMED,
    EVERY_STATE,
    LAPTOP_ADDED,
    LATER,
    MICE_ADDED,
    NOON,
    ORDER_ID,
    PLACED,
    SHIPPED,
)

PLACED_HEADER = OrderHeader(
    order_id=ORDER_ID,
    customer_name="山田太郎",
    status="pending",
    total_amount=Decimal("10000.00"),
    placed_at=NOON,
    version=1,
)
LAPTOP = OrderItem(
    version=2,
    product_name="ノートPC",
    quantity=1,
    unit_price=Decimal("80000.00"),
    subtotal=Decimal("80000.00"),
)
MICE = OrderItem(
    version=3,
    product_name="マウス",
    quantity=2,
    unit_price=Decimal("1500.00"),
    subtotal=Decimal("3000.00"),
)

every_projector = pytest.mark.parametrize("projector", PROJECTORS.values(), ids=PROJECTORS.keys())


def recorded(event: OrderEvent, version: int) -> RecordedEvent:
    return RecordedEvent(
        position=version, aggregate_id=event.order_id, version=version, event=event, metadata={}, occurred_at=LATER
    )


def stream(*events: OrderEvent) -> list[RecordedEvent]:
    return [recorded(event, version) for version, event in enumerate(events, start=1)]


def header(*events: OrderEvent) -> OrderHeader:
    return fold(SummaryReadModel(), stream(*events))[ORDER_ID]


def details(*events: OrderEvent) -> OrderDetails:
    return fold(DetailsReadModel(), stream(*events))[ORDER_ID]


def test_there_is_a_summary_and_a_details_projector() -> None:
    assert isinstance(PROJECTORS["summary"], SummaryReadModel)
    assert isinstance(PROJECTORS["details"], DetailsReadModel)


def test_a_placed_order_is_shown_as_pending() -> None:
    assert header(PLACED) == PLACED_HEADER


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        (LAPTOP_ADDED, {}),
        (CONFIRMED, {"status": "confirmed", "confirmed_at": CONFIRMED.confirmed_at}),
        (
            SHIPPED,
            {"status": "shipped", "shipped_at": SHIPPED.shipped_at, "tracking_number": "TRACK-12345678"},
        ),
        (
            CANCELLED,
            {"status": "cancelled", "cancelled_at": LATER, "cancel_reason": "顧客都合によるキャンセル"},
        ),
    ],
    ids=["item added", "confirmed", "shipped", "cancelled"],
)
def test_an_event_changes_what_it_says_and_the_version(event: OrderEvent, changes: dict[str, Any]) -> None:
    assert header(PLACED, event) == replace(PLACED_HEADER, version=2, **changes)


def test_a_shipped_order_shows_its_whole_life() -> None:
    assert header(PLACED, LAPTOP_ADDED, MICE_ADDED, CONFIRMED, SHIPPED) == OrderHeader(
        order_id=ORDER_ID,
        customer_name="山田太郎",
        status="shipped",
        total_amount=Decimal("10000.00"),
        placed_at=NOON,
        confirmed_at=CONFIRMED.confirmed_at,
        shipped_at=SHIPPED.shipped_at,
        tracking_number="TRACK-12345678",
        version=5,
    )


@pytest.mark.parametrize("history", EVERY_STATE.values(), ids=EVERY_STATE.keys())
def test_the_status_shown_is_the_status_decided_on(history: tuple[OrderEvent, ...]) -> None:
    order = Order()
    order.replay(history)

    assert header(*history).status == order.status


@pytest.mark.parametrize("history", EVERY_STATE.values(), ids=EVERY_STATE.keys())
def test_the_details_show_the_same_header_as_the_summary(history: tuple[OrderEvent, ...]) -> None:
    assert header_fields(details(*history)) == header_fields(header(*history))
    assert (details(*history).order_id, details(*history).version) == (ORDER_ID, len(history))


def test_a_placed_order_has_no_items() -> None:
    assert details(PLACED) == OrderDetails(**header_fields(PLACED_HEADER), items={}, items_total=Decimal("0.00"))


def test_items_are_shown_in_order_with_their_sum() -> None:
    shown = details(PLACED, LAPTOP_ADDED, MICE_ADDED)

    assert [*shown.items.values()] == [LAPTOP, MICE]
    assert str(shown.items_total) == "83000.00"
    assert shown.total_amount == PLACED.total_amount


def test_the_same_item_added_twice_is_shown_twice() -> None:
    shown = details(PLACED, LAPTOP_ADDED, LAPTOP_ADDED)

    assert [*shown.items.values()] == [LAPTOP, LAPTOP._replace(version=3)]
    assert shown.items_total == Decimal("160000.00")


@pytest.mark.parametrize("ending", [(CONFIRMED, SHIPPED), (CANCELLED,)], ids=["shipped", "cancelled"])
def test_items_stay_to_the_end(ending: tuple[OrderEvent, ...]) -> None:
    shown = details(PLACED, LAPTOP_ADDED, MICE_ADDED, *ending)

    assert ([*shown.items.values()], shown.items_total) == ([LAPTOP, MICE], Decimal("83000.00"))


def test_the_largest_items_add_up_to_the_cent() -> None:
    largest = replace(LAPTOP_ADDED, quantity=1_000_000, unit_price=Decimal("999999999999.99"))
    cent = replace(LAPTOP_ADDED, unit_price=Decimal("0.01"))

    assert str(details(PLACED, largest, largest, cent).items_total) == "1999999999999980000.01"


@every_projector
@pytest.mark.parametrize("history", EVERY_STATE.values(), ids=EVERY_STATE.keys())
def test_a_stored_row_goes_on_as_if_it_had_never_been_stored(
    projector: ReadModel[Any], history: tuple[OrderEvent, ...]
) -> None:
    for stored_at in range(1, len(history)):
        row = projector.from_tables(projector.to_tables(fold(projector, stream(*history[:stored_at]))[ORDER_ID]))
        for event in stream(*history)[stored_at:]:
            row = advance(projector, row, event)

        assert row == fold(projector, stream(*history))[ORDER_ID]


@every_projector
@pytest.mark.parametrize(
    "broken",
    [
        [recorded(PLACED, 1), recorded(LAPTOP_ADDED, 3)],
        [recorded(PLACED, 1), recorded(LAPTOP_ADDED, 2), recorded(LAPTOP_ADDED, 2)],
        [recorded(PLACED, 1), recorded(LAPTOP_ADDED, 2), recorded(MICE_ADDED, 1)],
        [recorded(PLACED, 1), recorded(PLACED, 1)],
        [recorded(PLACED, 2)],
        [recorded(LAPTOP_ADDED, 1)],
        [recorded(LAPTOP_ADDED, 2)],
        [recorded(PLACED, 1), recorded(PLACED, 2)],
    ],
    ids=[
        "a gap",
        "a repeat",
        "a step back",
        "a repeated beginning",
        "no version 1",
        "not begun by being placed",
        "a missing beginning",
        "placed twice",
    ],
)
def test_nothing_is_made_of_a_broken_stream(projector: ReadModel[Any], broken: list[RecordedEvent]) -> None:
    with pytest.raises(BrokenStream, match=ORDER_ID):
        fold(projector, broken)


@every_projector
def test_an_event_outside_the_union_is_an_error(projector: ReadModel[Any]) -> None:
    row = fold(projector, stream(PLACED))[ORDER_ID]
    stray: Any = "OrderLost"

    with pytest.raises(AssertionError, match="OrderLost"):
        projector.evolve(row, recorded(CONFIRMED, 2)._replace(event=stray))


class Halfway(DetailsReadModel):
    """Fails on the confirmation when it has changed the row already."""

    def evolve(self, row: OrderDetails | None, recorded: RecordedEvent) -> OrderDetails:
        row = super().evolve(row, recorded)
        if recorded.event == CONFIRMED:
            raise ValueError
        return row


@pytest.mark.parametrize("from_version", [1, 2])
def test_a_row_that_was_half_changed_when_its_event_failed_is_made_again(from_version: int) -> None:
    history = stream(PLACED, LAPTOP_ADDED, CONFIRMED, SHIPPED)
    early = Halfway().to_tables(fold(Halfway(), history[: from_version - 1])[ORDER_ID]) if from_version > 1 else None

    rows, failures = fold_until_failures(
        Halfway(), history[from_version - 1 :], {ORDER_ID: early} if early is not None else None
    )

    assert rows == {ORDER_ID: details(PLACED, LAPTOP_ADDED)}
    assert [(failure.order_id, failure.version) for failure in failures.values()] == [(ORDER_ID, 3)]


@every_projector
def test_no_events_make_no_rows(projector: ReadModel[Any]) -> None:
    assert fold(projector, []) == {}


LIVES = {
    f"ORDER-{number:03}": stream(*(replace(event, order_id=f"ORDER-{number:03}") for event in history))
    for number, history in enumerate(EVERY_STATE.values(), start=1)
}


def interleaved(turns: Iterable[str]) -> list[RecordedEvent]:
    remaining = {order_id: iter(life) for order_id, life in LIVES.items()}
    return [next(remaining[order_id]) for order_id in turns]


@every_projector
@settings(deadline=None)
@given(turns=st.permutations([order_id for order_id, life in LIVES.items() for _ in life]))
def test_mixed_streams_of_many_orders_come_out_as_each_alone(projector: ReadModel[Any], turns: list[str]) -> None:
    alone = {order_id: fold(projector, life)[order_id] for order_id, life in LIVES.items()}

    assert fold(projector, interleaved(turns)) == alone


@every_projector
def test_an_order_with_a_broken_stream_is_named_among_others(projector: ReadModel[Any]) -> None:
    others = [each for life in LIVES.values() for each in life]
    lost = replace(LAPTOP_ADDED, order_id="ORDER-404")

    with pytest.raises(BrokenStream, match="ORDER-404"):
        fold(projector, [*others, recorded(lost, 2)])
