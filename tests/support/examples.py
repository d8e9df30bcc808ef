"""Example messages that tests share: the order of 山田太郎, from placed to shipped, and its cancelling."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.orders.commands import AddOrderItem, CancelOrder, ConfirmOrder, PlaceOrder, ShipOrder
from core.orders.events import OrderCancelled, OrderConfirmed, OrderEvent, OrderItemAdded, OrderPlaced, OrderShipped

ORDER_ID = "ORDER-001"
NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)

PLACED = OrderPlaced(order_id=ORDER_ID, customer_name="山田太郎", total_amount=Decimal("10000.00"), placed_at=NOON)
LAPTOP_ADDED = OrderItemAdded(
    order_id=ORDER_ID,
    product_name="ノートPC",
    quantity=1,
    unit_price=Decimal("80000.00"),
    added_at=NOON + timedelta(minutes=1),
)
MICE_ADDED = OrderItemAdded(
    order_id=ORDER_ID,
    product_name="マウス",
    quantity=2,
    unit_price=Decimal("1500.00"),
    added_at=NOON + timedelta(minutes=2),
)
CONFIRMED = OrderConfirmed(order_id=ORDER_ID, confirmed_at=NOON + timedelta(minutes=3))
SHIPPED = OrderShipped(order_id=ORDER_ID, tracking_number="TRACK-12345678", shipped_at=NOON + timedelta(minutes=4))
CANCELLED = OrderCancelled(order_id=ORDER_ID, reason="顧客都合によるキャンセル", cancelled_at=LATER)

LIFE: list[OrderEvent] = [PLACED, LAPTOP_ADDED, MICE_ADDED, CONFIRMED, SHIPPED]

EVERY_STATE: dict[str, tuple[OrderEvent, ...]] = {
    "pending and empty": (PLACED,),
    "pending with items": (PLACED, LAPTOP_ADDED),
    "confirmed": (PLACED, LAPTOP_ADDED, CONFIRMED),
    "shipped": (PLACED, LAPTOP_ADDED, CONFIRMED, SHIPPED),
    "cancelled": (PLACED, CANCELLED),
}

PLACE = PlaceOrder(order_id=ORDER_ID, customer_name="山田太郎", total_amount=10000)
ADD_LAPTOP = AddOrderItem(order_id=ORDER_ID, product_name="ノートPC", quantity=1, unit_price=80000)
ADD_MICE = AddOrderItem(order_id=ORDER_ID, product_name="マウス", quantity=2, unit_price=1500)
CONFIRM = ConfirmOrder(order_id=ORDER_ID)
SHIP = ShipOrder(order_id=ORDER_ID, tracking_number="TRACK-12345678")
CANCEL = CancelOrder(order_id=ORDER_ID, reason="顧客都合によるキャンセル")
