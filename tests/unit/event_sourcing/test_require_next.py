"""A stream is read only if each event follows the one before, and OrderPlaced is its first and only its first."""

import pytest

from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.streams import BrokenStream, require_next
from core.orders.events import OrderEvent
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, NOON, ORDER_ID, PLACED


def recorded(version: int, event: OrderEvent) -> RecordedEvent:
    return RecordedEvent(version, ORDER_ID, version, event, {}, NOON)


@pytest.mark.parametrize(("version", "event"), [(1, PLACED), (2, LAPTOP_ADDED), (3, CONFIRMED)])
def test_the_event_after_the_last_one_passes(version: int, event: OrderEvent) -> None:
    require_next(recorded(version, event), version - 1)


@pytest.mark.parametrize(
    ("version", "event", "after"),
    [
        pytest.param(3, CONFIRMED, 1, id="gap"),
        pytest.param(2, LAPTOP_ADDED, 2, id="repeat"),
        pytest.param(1, PLACED, 2, id="back to the start"),
        pytest.param(1, LAPTOP_ADDED, 0, id="another event first"),
        pytest.param(2, PLACED, 1, id="placed twice"),
        pytest.param(2, PLACED, 0, id="placed late"),
    ],
)
def test_any_other_event_breaks_the_stream(version: int, event: OrderEvent, after: int) -> None:
    with pytest.raises(BrokenStream, match=f"Event {version} of {ORDER_ID} cannot follow event {after}"):
        require_next(recorded(version, event), after)
