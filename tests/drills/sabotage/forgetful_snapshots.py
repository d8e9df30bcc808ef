"""The web application with snapshots that lack the item they are saved with."""

from typing import Any
from unittest.mock import patch

from flask import Flask

from core.orders.events import OrderItemAdded
from core.orders.order import Order
from tests.drills.factories import early_snapshots

real_state = Order.state


def create_app() -> Flask:
    patch.object(Order, "state", state_without_news).start()
    return early_snapshots()


def state_without_news(order: Order) -> dict[str, Any]:
    news = sum(isinstance(event, OrderItemAdded) for event in order.uncommitted_events)
    state = real_state(order)
    return state | {"item_count": state["item_count"] - news}
