"""Stored events, written out in full in stored/: what the log holds must be readable for ever."""

import json
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.event_sourcing import codec
from core.event_sourcing.codec import _DECODERS, AMOUNTS, UnknownEventType, as_json, decode, encode
from core.orders import values
from core.orders.events import OrderEvent, OrderItemAdded, OrderPlaced
from tests.support.examples import CANCELLED, CONFIRMED, LAPTOP_ADDED, NOON, ORDER_ID, PLACED, SHIPPED

# One file per event type and schema version. None of them changes ever; a new version is a new file.
STORED: dict[tuple[str, int], dict[str, Any]] = {}
for path in sorted((Path(__file__).parent / "stored").iterdir()):
    event_type, schema_version, _ = path.name.split(".")
    STORED[event_type, int(schema_version)] = json.loads(path.read_text())

NEWEST = {event_type: max(version for name, version in STORED if name == event_type) for event_type, _ in STORED}

every_stored_event = pytest.mark.parametrize(("event_type", "schema_version"), STORED)
every_event_type = pytest.mark.parametrize("event_type", NEWEST)


def stored(event_type: str, schema_version: int = 1) -> OrderEvent:
    return decode(event_type, schema_version, STORED[event_type, schema_version])


def through_json(event: OrderEvent) -> OrderEvent:
    encoded = encode(event)
    return decode(encoded.event_type, encoded.schema_version, json.loads(json.dumps(encoded.data)))


def test_what_this_release_can_read_is_written_out() -> None:
    assert set(STORED) == set(_DECODERS), "put the JSON of a new event or schema version into stored/"


def test_each_event_has_a_stored_name_of_its_own() -> None:
    assert {type(stored(*newest)) for newest in NEWEST.items()} == set(get_args(OrderEvent))
    assert len(NEWEST) == len(get_args(OrderEvent))


@pytest.mark.parametrize("event", [PLACED, LAPTOP_ADDED, CONFIRMED, SHIPPED, CANCELLED])
def test_the_first_stored_form_is_read_as_this_event(event: OrderEvent) -> None:
    read = stored(type(event).__name__)

    assert read == event
    assert repr(read) == repr(event)  # which also tells 10000.00 from 10000, and UTC from an equal zone


@every_event_type
def test_an_event_is_stored_as_exactly_its_newest_form(event_type: str) -> None:
    newest = event_type, NEWEST[event_type]

    assert encode(stored(*newest)) == (*newest, STORED[newest])


@every_stored_event
def test_an_event_of_any_stored_form_comes_back_from_its_newest(event_type: str, schema_version: int) -> None:
    read = stored(event_type, schema_version)

    assert repr(through_json(read)) == repr(read)
    assert encode(read)[:2] == (event_type, NEWEST[event_type])


@every_stored_event
def test_stored_values_are_strings_and_whole_numbers(event_type: str, schema_version: int) -> None:
    encoded = encode(stored(event_type, schema_version)).data

    assert {type(value) for value in encoded.values()} <= {str, int}


@pytest.mark.parametrize(
    ("event_type", "schema_version"),
    [
        ("OrderDelivered", 1),
        ("orderplaced", 1),
        ("", 1),
        *((event_type, version) for event_type, newest in NEWEST.items() for version in (0, newest + 1)),
    ],
)
def test_what_this_release_cannot_read_is_an_error(event_type: str, schema_version: int) -> None:
    with pytest.raises(UnknownEventType) as caught:
        decode(event_type, schema_version, STORED["OrderPlaced", 1])

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


# As other services get it.


@every_stored_event
def test_other_services_get_the_newest_form_with_amounts_as_numbers(event_type: str, schema_version: int) -> None:
    text = as_json(event_type, schema_version, json.dumps(STORED[event_type, schema_version]))

    expected = dict(encode(stored(event_type, schema_version)).data)
    expected |= {name: Decimal(expected[name]) for name in AMOUNTS if name in expected}
    assert json.loads(text, parse_float=Decimal) == expected
    assert all(f"{expected[name]}" in text for name in AMOUNTS if name in expected)  # 10000.00 with both its zeros


def test_every_amount_of_every_event_becomes_a_number() -> None:
    assert {field.name for event in get_args(OrderEvent) for field in fields(event) if field.type is Decimal} == {
        *AMOUNTS
    }


def test_an_older_form_is_brought_up_to_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(codec._DECODERS, ("OrderConfirmed", 0), lambda _: CONFIRMED)

    assert json.loads(as_json("OrderConfirmed", 0, "{}")) == encode(CONFIRMED).data


def test_text_that_looks_like_an_amount_stays_text() -> None:
    data = json.dumps({"reason": 'a "total_amount": "1.00" b', "tracking_number": "total_amount"})

    assert as_json("OrderCancelled", 1, data) == data


def test_an_unknown_event_is_not_handed_on() -> None:
    with pytest.raises(UnknownEventType):
        as_json("OrderRefunded", 1, "{}")
