"""Ten steps through Orderlog without any server: python examples/walkthrough.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that it runs from any folder

from core.command_handler import OrderCommandHandler
from core.event_sourcing.codec import encode
from core.event_sourcing.in_memory_store import InMemoryEventStore
from core.orders.commands import AddOrderItem, CancelOrder, ConfirmOrder, OrderCommand, PlaceOrder, ShipOrder
from core.projection.project import fold
from core.read_models.details import DetailsReadModel
from core.read_models.header import OrderHeader
from core.read_models.summary import SummaryReadModel

FIRST, SECOND = "ORDER-001", "ORDER-002"

store = InMemoryEventStore()
handler = OrderCommandHandler(store.open)


def step(number: int, title: str) -> None:
    print(f"\n{number}. {title}")


def run(command: OrderCommand) -> None:
    """The write side: the command handler appends what the order decides."""
    for recorded in handler.handle(command).recorded:
        print(f"   {type(recorded.event).__name__} (version {recorded.version})")


def show_details(order_id: str) -> None:
    """The read side: the details projector's own logic, over this order's events."""
    details = fold(DetailsReadModel(), store.read_stream(order_id))[order_id]
    print(f"   {details.customer_name}: {details.status}, total amount {details.total_amount:,}")
    for item in details.items.values():
        print(f"   - {item.product_name} x {item.quantity} at {item.unit_price:,} = {item.subtotal:,}")
    print(f"   items total {details.items_total:,}")


def show_orders(status: str | None = None) -> None:
    """The read side: the summary projector's own logic, over the whole log."""
    summaries = fold(SummaryReadModel(), store.read_all()).values()
    for summary in summaries:
        if status in (None, summary.status):
            print(f"   {line(summary)}")


def line(summary: OrderHeader) -> str:
    more = summary.tracking_number or summary.cancel_reason or ""
    return f"{summary.order_id} {summary.customer_name} {summary.total_amount:,} {summary.status} {more}".rstrip()


def main() -> None:
    step(1, "Place an order for 山田太郎")
    run(PlaceOrder(order_id=FIRST, customer_name="山田太郎", total_amount=83000))
    step(2, "Add two products")
    run(AddOrderItem(order_id=FIRST, product_name="ノートPC", quantity=1, unit_price=80000))
    run(AddOrderItem(order_id=FIRST, product_name="マウス", quantity=2, unit_price=1500))
    step(3, "Show the details")
    show_details(FIRST)
    step(4, "Confirm it")
    run(ConfirmOrder(order_id=FIRST))
    step(5, "Ship it")
    run(ShipOrder(order_id=FIRST, tracking_number="TRACK-12345678"))
    step(6, "List the shipped orders")
    show_orders("shipped")
    step(7, "Place a second order for 佐藤花子")
    run(PlaceOrder(order_id=SECOND, customer_name="佐藤花子", total_amount=5000))
    step(8, "Cancel it")
    run(CancelOrder(order_id=SECOND, reason="顧客都合によるキャンセル"))
    step(9, "List all orders")
    show_orders()
    step(10, "Print the event log")
    for recorded in store.read_all():
        stored = encode(recorded.event)
        print(f"   {recorded.position} {recorded.aggregate_id} v{recorded.version} {stored.event_type} {stored.data}")


if __name__ == "__main__":
    main()
