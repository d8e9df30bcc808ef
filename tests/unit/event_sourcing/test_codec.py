"""Stored events, written out in full: what the log holds must be readable for ever."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.event_sourcing.codec import UnknownEventType, decode, encode
from core.orders import values
from core.orders.events import OrderEvent, OrderItemAdded, OrderPlaced
from tests.support.examples import CANCELLED, CONFIRMED, LAPTOP_ADDED, MICE_ADDED, NOON, ORDER_ID, PLACED, SHIPPED

STORED: list[tuple[OrderEvent, str, int, str]] = [
    (
        PLACED,
        "OrderPlaced",
        1,
        """
        {
            "order_id": "ORDER-001",
            "customer_name": "山田太郎",
            "total_amount": "10000.00",
            "placed_at": "2026-01-01T12:00:00+00:00"
        }
        """,
    ),
    (
        LAPTOP_ADDED,
        "OrderItemAdded",
        1,
        """
        {
            "order_id": "ORDER-001",
            "product_name": "ノートPC",
            "quantity": 1,
            "unit_price": "80000.00",
            "added_at": "2026-01-01T12:01:00+00:00"
        }
        """,
    ),
    (
        MICE_ADDED,
        "OrderItemAdded",
        1,
        """
        {
            "order_id": "ORDER-001",
            "product_name": "マウス",
            "quantity": 2,
            "unit_price": "1500.00",
            "added_at": "2026-01-01T12:02:00+00:00"
        }
        """,
    ),
    (
        CONFIRMED,
        "OrderConfirmed",
        1,
        """
        {
            "order_id": "ORDER-001",
            "confirmed_at": "2026-01-01T12:03:00+00:00"
        }
        """,
    ),
    (
        SHIPPED,
        "OrderShipped",
        1,
        """
        {
            "order_id": "ORDER-001",
            "tracking_number": "TRACK-12345678",
            "shipped_at": "2026-01-01T12:04:00+00:00"
        }
        """,
    ),
    (
        CANCELLED,
        "OrderCancelled",
        1,
        """
        {
            "order_id": "ORDER-001",
            "reason": "顧客都合によるキャンセル",
            "cancelled_at": "2026-01-01T12:05:00+00:00"
        }
        """,
    ),
]
every_stored_event = pytest.mark.parametrize(("event", "event_type", "schema_version", "text"), STORED)


def through_json(event: OrderEvent) -> OrderEvent:
    stored = encode(event)
    return decode(stored.event_type, stored.schema_version, json.loads(json.dumps(stored.data)))


@every_stored_event
def test_an_event_is_stored_as_exactly_this(event: OrderEvent, event_type: str, schema_version: int, text: str) -> None:
    assert encode(event) == (event_type, schema_version, json.loads(text))


@every_stored_event
def test_exactly_this_is_read_as_the_event(event: OrderEvent, event_type: str, schema_version: int, text: str) -> None:
    read = decode(event_type, schema_version, json.loads(text))

    assert read == event
    assert repr(read) == repr(event)  # which also tells 10000.00 from 10000, and UTC from an equal zone


@every_stored_event
def test_stored_values_are_strings_and_whole_numbers(
    event: OrderEvent, event_type: str, schema_version: int, text: str
) -> None:
    assert {type(value) for value in encode(event).data.values()} <= {str, int}


def test_no_event_is_forgotten_here() -> None:
    assert {type(event) for event, *_ in STORED} == set(get_args(OrderEvent))


def test_each_event_has_a_stored_name_of_its_own() -> None:
    assert len({encode(event).event_type for event, *_ in STORED}) == len(get_args(OrderEvent))


@pytest.mark.parametrize(
    ("event_type", "schema_version"),
    [
        ("OrderDelivered", 1),
        ("orderplaced", 1),
        ("", 1),
        *((event_type, version) for _, event_type, _, _ in STORED for version in (0, 2)),
    ],
)
def test_what_this_release_cannot_read_is_an_error(event_type: str, schema_version: int) -> None:
    data = json.loads(STORED[0][3])
    with pytest.raises(UnknownEventType) as caught:
        decode(event_type, schema_version, data)

    assert str(caught.value) == (
        f"This release cannot read events of type {event_type!r}, schema version {schema_version}."
    )


def test_an_event_outside_the_union_is_not_stored() -> None:
    stray: Any = "OrderLost"
    with pytest.raises(AssertionError, match="OrderLost"):
        encode(stray)


@settings(deadline=None)
@given(st.decimals(min_value=0, max_value=values.LARGEST_AMOUNT, places=2))
def test_any_amount_comes_back_exactly(amount: Decimal) -> None:
    added = OrderItemAdded(
        order_id=ORDER_ID, product_name="マウス", quantity=2, unit_price=values.unit_price(amount), added_at=NOON
    )

    assert repr(through_json(added)) == repr(added)


@settings(deadline=None)
@given(name=st.text(min_size=1, max_size=200), placed_at=st.datetimes(timezones=st.just(UTC)))
def test_any_text_and_time_come_back_exactly(name: str, placed_at: datetime) -> None:
    placed = OrderPlaced(order_id=ORDER_ID, customer_name=name, total_amount=Decimal("0.01"), placed_at=placed_at)

    assert through_json(placed) == placed
