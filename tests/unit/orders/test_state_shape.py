"""What a snapshot holds, written out in states/, one file for each shape."""

import json
from pathlib import Path

from core.orders.order import STATE_SHAPE, Order
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, MICE_ADDED, PLACED

STATES = Path(__file__).parent / "states"


def test_another_state_needs_another_shape_number() -> None:
    order = Order()
    order.replay([PLACED, LAPTOP_ADDED, MICE_ADDED, CONFIRMED])

    assert order.state() == json.loads((STATES / f"{STATE_SHAPE}.json").read_text()), (
        "snapshots of this shape hold something else: count STATE_SHAPE up and put the new state into a file of its own"
    )


def test_the_shapes_are_counted_without_a_gap() -> None:
    assert sorted(int(path.stem) for path in STATES.iterdir()) == list(range(1, STATE_SHAPE + 1))
