"""An order is nothing but its events: deciding and replaying come to the same."""

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st

from core.orders.errors import OrderError
from core.orders.events import OrderEvent
from core.orders.order import Order, Status, decide
from tests.support import lives
from tests.support.examples import (
    CANCELLED,
    CONFIRMED,
    EVERY_STATE,
    LAPTOP_ADDED,
    MICE_ADDED,
    NOON,
    ORDER_ID,
    PLACED,
    SHIPPED,
)
from tests.support.lives import EVERY_CHANGE

ASKS: list[Callable[[Order], None]] = [
    *(partial(decide, command=command, now=NOON) for command in EVERY_CHANGE),
    lambda order: order.add_item(product_name="マウス", quantity=0, unit_price=1500, now=NOON),
]


def replayed(*history: OrderEvent) -> Order:
    return lives.replayed(history)


def state(order: Order) -> dict[str, object]:
    return {name: value for name, value in vars(order).items() if name != "uncommitted_events"}


def test_an_order_without_events_is_at_version_0() -> None:
    assert Order().version == 0
    assert Order().uncommitted_events == []


@pytest.mark.parametrize(
    ("history", "status"),
    [
        (EVERY_STATE["pending and empty"], Status.PENDING),
        (EVERY_STATE["pending with items"], Status.PENDING),
        (EVERY_STATE["confirmed"], Status.CONFIRMED),
        (EVERY_STATE["shipped"], Status.SHIPPED),
        (EVERY_STATE["cancelled"], Status.CANCELLED),
    ],
)
def test_a_replayed_order_is_in_the_state_of_its_last_event(history: tuple[OrderEvent, ...], status: Status) -> None:
    order = replayed(*history)

    assert (order.id, order.customer_name, order.total_amount) == (ORDER_ID, "山田太郎", Decimal("10000.00"))
    assert (order.status, order.version) == (status, len(history))
    assert order.uncommitted_events == []


def test_what_an_order_decides_waits_to_be_stored() -> None:
    order = replayed(PLACED)
    order.add_item(product_name="ノートPC", quantity=1, unit_price=80000, now=LAPTOP_ADDED.added_at)
    order.add_item(product_name="マウス", quantity=2, unit_price=1500, now=MICE_ADDED.added_at)
    order.confirm(now=CONFIRMED.confirmed_at)

    assert order.uncommitted_events == [LAPTOP_ADDED, MICE_ADDED, CONFIRMED]
    assert (order.committed_version, order.version) == (1, 4)


def test_a_whole_life_decided_is_the_same_life_replayed() -> None:
    order = Order.place(order_id=ORDER_ID, customer_name="山田太郎", total_amount=10000, now=NOON)
    order.add_item(product_name="ノートPC", quantity=1, unit_price=80000, now=LAPTOP_ADDED.added_at)
    order.confirm(now=CONFIRMED.confirmed_at)
    order.ship(tracking_number="TRACK-12345678", now=SHIPPED.shipped_at)

    assert order.uncommitted_events == [PLACED, LAPTOP_ADDED, CONFIRMED, SHIPPED]
    assert state(order) == state(replayed(PLACED, LAPTOP_ADDED, CONFIRMED, SHIPPED))


@settings(deadline=None)
@given_any(st.lists(st.sampled_from(ASKS), max_size=12))
def test_whatever_is_asked_deciding_and_replaying_agree(asks: list[Callable[[Order], None]]) -> None:
    order = Order.place(order_id=ORDER_ID, customer_name="山田太郎", total_amount=10000, now=NOON)
    refusals = 0
    for ask in asks:
        try:
            ask(order)
        except OrderError:
            refusals += 1

    assert len(order.uncommitted_events) == order.version == 1 + len(asks) - refusals
    assert state(order) == state(replayed(*order.uncommitted_events))


def test_inside_apply_the_version_is_that_of_the_event() -> None:
    seen: list[int] = []

    class Watched(Order):
        def apply(self, event: OrderEvent) -> None:
            super().apply(event)
            seen.append(self.version)

    order = Watched()
    order.replay([PLACED, LAPTOP_ADDED])
    order.confirm(now=NOON)

    assert seen == [1, 2, 3]


def test_orders_share_nothing() -> None:
    one, other = replayed(PLACED), replayed(PLACED)
    one.cancel(reason="顧客都合によるキャンセル", now=CANCELLED.cancelled_at)

    assert (other.status, other.version, other.uncommitted_events) == (Status.PENDING, 1, [])


def test_an_event_outside_the_union_is_an_error() -> None:
    stray: Any = "OrderLost"

    with pytest.raises(AssertionError, match="OrderLost"):
        replayed(PLACED, stray)


def test_an_order_is_placed_in_a_plain_python_without_any_package(project_root: Path) -> None:
    script = f"""
import sys
sys.path.append({str(project_root)!r})
from core.orders.order import Order
order = Order.place(order_id="ORDER-001", customer_name="山田太郎", total_amount=10000)
print(order.status, order.version, order.total_amount)
"""
    plain = [sys.executable, "-I", "-S", "-X", "utf8", "-c", script]
    ran = subprocess.run(plain, capture_output=True, text=True, check=False)

    assert (ran.stdout, ran.stderr) == ("pending 1 10000.00\n", "")
