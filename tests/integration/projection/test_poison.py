"""An event that cannot be read, or whose row the database refuses, stops its order; it is never skipped."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing import codec
from core.orders.events import OrderConfirmed, OrderEvent
from core.projection.catch_up import catch_up
from core.projection.parking import retry_now
from core.read_models.wiring import PROJECTORS
from tests.support.examples import LAPTOP_ADDED, LIFE, MICE_ADDED, NOON, ORDER_ID, PLACED
from tests.support.failing import AT_ONCE, THRICE, end_pauses, failure
from tests.support.read_side import run, shown, store
from tests.support.streams import append

SUMMARIES, DETAILS = "order_summary_read_models", "order_details_read_models"

UNREADABLE = {
    "an unknown type": ("OrderPacked", 1, "UnknownEventType: "),
    "a schema version from the future": ("OrderConfirmed", 2, "UnknownEventType: "),
    "data without a field": ("OrderConfirmed", 1, "KeyError: "),
}

PLACED_DATA = codec.encode(PLACED).data
ITEM_DATA = codec.encode(LAPTOP_ADDED).data

REFUSED = {
    "an amount with too many digits": ("OrderPlaced", {**PLACED_DATA, "total_amount": "123456789012345.00"}),
    "a value of another type": ("OrderPlaced", {**PLACED_DATA, "customer_name": {"first": "太郎"}}),
    "nothing where there must be something": ("OrderPlaced", {**PLACED_DATA, "customer_name": None}),
    "a number with too many bits": ("OrderItemAdded", {**ITEM_DATA, "quantity": 3_000_000_000}),
    "a price with too many digits": ("OrderItemAdded", {**ITEM_DATA, "unit_price": "123456789012345.00"}),
}


@pytest.mark.parametrize(("event_type", "schema_version", "error"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_event_that_cannot_be_read_parks_and_is_never_skipped(
    sessions: sessionmaker[Session], event_type: str, schema_version: int, error: str
) -> None:
    append(sessions, LIFE[:3])
    store(sessions, ORDER_ID, 4, event_type, schema_version=schema_version)
    append(sessions, LIFE[4:], after=4)

    for name, projector in PROJECTORS.items():
        catch_up(sessions, name, projector, AT_ONCE)
        catch_up(sessions, name, projector, AT_ONCE)

        known = failure(sessions, name=name)
        assert known is not None
        assert (known.version, known.next_attempt_at) == (4, None)
        assert known.error.startswith(error)
    assert shown(sessions, SUMMARIES) == shown(sessions, DETAILS) == {ORDER_ID: 3}


def test_a_release_that_can_read_the_event_goes_on_from_it(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    append(sessions, LIFE[:3])
    store(sessions, ORDER_ID, 4, "OrderConfirmed", schema_version=2)
    append(sessions, LIFE[4:], after=4)
    catch_up(sessions, "summary", PROJECTORS["summary"], AT_ONCE)

    confirmed = OrderConfirmed(order_id=ORDER_ID, confirmed_at=NOON)
    monkeypatch.setitem(codec._DECODERS, ("OrderConfirmed", 2), lambda _: confirmed)
    retry_now(sessions, "summary", PROJECTORS["summary"], [ORDER_ID], AT_ONCE)

    assert shown(sessions, SUMMARIES) == {ORDER_ID: 5}
    assert failure(sessions) is None


@pytest.mark.parametrize("neighbours", [3, 30], ids=["written by INSERT", "written by COPY"])
@pytest.mark.parametrize(("event_type", "data"), REFUSED.values(), ids=REFUSED.keys())
def test_a_row_that_the_database_refuses_parks_its_order_alone(
    sessions: sessionmaker[Session], event_type: str, data: Mapping[str, Any], neighbours: int
) -> None:
    others = [f"ORDER-{number:03}" for number in range(100, 100 + neighbours)]
    for other in others:
        append(sessions, [PLACED, LAPTOP_ADDED], order_id=other)
    before: list[OrderEvent] = [] if event_type == "OrderPlaced" else [PLACED, LAPTOP_ADDED, LAPTOP_ADDED]
    version = len(before) + 1
    append(sessions, before)
    store(sessions, ORDER_ID, version, event_type, data)
    append(sessions, [LAPTOP_ADDED], after=version)

    for _ in range(2):
        catch_up(sessions, "details", PROJECTORS["details"], AT_ONCE)

    before_it = {ORDER_ID: version - 1} if version > 1 else {}
    assert shown(sessions, DETAILS) == dict.fromkeys(others, 2) | before_it
    known = failure(sessions, name="details")
    assert known is not None
    assert (known.version, known.attempts, known.next_attempt_at) == (version, 1, None)
    for kept in (known.error, known.traceback):  # PostgreSQL quotes the row that it refuses
        assert "ノートPC" not in kept
        assert "太郎" not in kept
    assert "in project_alone" in known.traceback
    assert known.traceback.endswith(f"{known.error}\n")


def test_an_event_whose_data_name_another_order_is_shown_where_it_stands(sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED], order_id="ORDER-002")
    append(sessions, [PLACED, LAPTOP_ADDED])

    catch_up(sessions, "summary", PROJECTORS["summary"], AT_ONCE)

    assert shown(sessions, SUMMARIES) == {ORDER_ID: 2, "ORDER-002": 1}


def test_a_refused_event_after_what_is_shown_is_named_by_its_version(sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED])
    catch_up(sessions, "details", PROJECTORS["details"], THRICE)
    run(sessions, "ALTER TABLE order_item_read_models ADD CHECK (product_name <> 'マウス')")
    append(sessions, [MICE_ADDED], after=2)

    for _ in range(3):
        catch_up(sessions, "details", PROJECTORS["details"], THRICE)
        end_pauses(sessions)

    known = failure(sessions, name="details")
    assert known is not None
    assert (known.version, known.attempts, known.next_attempt_at) == (3, 3, None)
