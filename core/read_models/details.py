"""The details of one order: its header and its items with their sum."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple, assert_never

from sqlalchemy import Column, Integer, Numeric, Text, select
from sqlalchemy.orm import Session

from core.event_sourcing.event_store import RecordedEvent
from core.orders import events
from core.projection.read_model import ReadModel, Values, order_table
from core.read_models.header import OrderHeader, evolve_header, header_columns, header_values

order_details = order_table(
    "order_details_read_models",
    *header_columns(),
    Column("items_total", Numeric(26, 2), nullable=False),
)

# An item is known by the version of the event that added it, so adding it twice is adding it once.
order_items = order_table(
    "order_item_read_models",
    Column("version", Integer, primary_key=True),
    Column("product_name", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price", Numeric(14, 2), nullable=False),
    Column("subtotal", Numeric(20, 2), nullable=False),
)


class OrderItem(NamedTuple):
    version: int
    product_name: str
    quantity: int
    unit_price: Decimal
    subtotal: Decimal


@dataclass(slots=True)
class OrderDetails(OrderHeader):
    """`items` are all the order has, by version, oldest first; `items_total` is the sum of their subtotals."""

    items_total: Decimal = Decimal("0.00")
    items: dict[int, OrderItem] = field(default_factory=dict)


class DetailsReadModel(ReadModel[OrderDetails]):
    tables = (order_details, order_items)

    def evolve(self, row: OrderDetails | None, recorded: RecordedEvent) -> OrderDetails:
        row, event = evolve_header(OrderDetails, row, recorded), recorded.event
        match event:
            case events.OrderItemAdded():
                subtotal = event.quantity * event.unit_price
                item = OrderItem(recorded.version, event.product_name, event.quantity, event.unit_price, subtotal)
                row.items[item.version] = item
                row.items_total += subtotal
            case events.OrderPlaced() | events.OrderConfirmed() | events.OrderCancelled() | events.OrderShipped():
                pass
            case _:
                assert_never(event)
        return row

    def to_tables(self, row: OrderDetails) -> Sequence[Sequence[Values]]:
        return [(*header_values(row), row.items_total)], [(row.order_id, *item) for item in row.items.values()]

    def from_tables(self, stored: Sequence[Sequence[Values]]) -> OrderDetails:
        [head], parts = stored
        row = OrderDetails(*head)
        row.items = {item.version: item for item in sorted(OrderItem(*part[1:]) for part in parts)}
        return row


def find_details(session: Session, order_id: str) -> OrderDetails | None:
    """Read in one statement, so that header and items are of the same version."""
    query = (
        select(*order_details.columns, *order_items.columns)
        .outerjoin(order_items, order_items.c.order_id == order_details.c.order_id)
        .where(order_details.c.order_id == order_id)
    )
    rows, columns = session.execute(query).all(), len(order_details.columns)
    if not rows:
        return None
    items = [row[columns:] for row in rows if row[columns] is not None]
    return DetailsReadModel().from_tables([[rows[0][:columns]], items])
