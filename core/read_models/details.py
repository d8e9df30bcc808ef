"""The details of one order: its header and its items with their sum."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Column, Integer, Numeric, Table, Text, select
from sqlalchemy.orm import Session

from core.database import metadata
from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.streams import IdList
from core.orders.events import OrderItemAdded
from core.projection.rows import Values, lock_rows, replace_parts, replace_rows, save_rows, upsert_parts
from core.read_models.header import OrderHeader, evolve, header_columns

order_details = Table(
    "order_details_read_models",
    metadata,
    *header_columns(),
    Column("items_total", Numeric(26, 2), nullable=False),
)

# An item is known by the version of the event that added it, so adding it twice is adding it once.
order_items = Table(
    "order_item_read_models",
    metadata,
    Column("order_id", Text, primary_key=True),
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


class OrderDetails(NamedTuple):
    """When evolved from a stored row, `items` are only those added since; `items_total` counts them all."""

    header: OrderHeader
    items: tuple[OrderItem, ...] = ()
    items_total: Decimal = Decimal("0.00")

    @property
    def order_id(self) -> str:
        return self.header.order_id

    @property
    def version(self) -> int:
        return self.header.version


class DetailsProjector:
    tables = (order_details, order_items)

    def lock(self, session: Session, order_ids: Sequence[str]) -> Mapping[str, OrderDetails]:
        return {key: _without_items(row) for key, row in lock_rows(session, order_details, order_ids).items()}

    def read(self, session: Session, order_ids: Sequence[str]) -> Mapping[str, OrderDetails]:
        return read_details(session, order_ids)

    def evolve(self, view: OrderDetails | None, recorded: RecordedEvent) -> OrderDetails:
        header = evolve(view.header if view else None, recorded)
        if view is None:
            return OrderDetails(header)
        if not isinstance(recorded.event, OrderItemAdded):
            return OrderDetails(header, view.items, view.items_total)
        item = _item(recorded.version, recorded.event)
        return OrderDetails(header, (*view.items, item), view.items_total + item.subtotal)

    def save(self, session: Session, views: Sequence[OrderDetails]) -> None:
        save_rows(session, order_details, [_row(view) for view in views])
        # Also of an order that somebody has brought further: an item is what its event says, whoever writes it.
        upsert_parts(session, order_items, _item_rows(views))

    def replace(self, session: Session, views: Sequence[OrderDetails], locked: Collection[str]) -> None:
        written = replace_rows(session, order_details, [_row(view) for view in views], locked)
        replace_parts(session, order_items, [row for row in _item_rows(views) if row[0] in written], written)


def find_details(session: Session, order_id: str) -> OrderDetails | None:
    return read_details(session, [order_id]).get(order_id)


def read_details(session: Session, order_ids: Sequence[str]) -> dict[str, OrderDetails]:
    """Read in one statement, so that header and items are of the same version."""
    query = (
        select(order_details, *(order_items.c[name].label(f"item_{name}") for name in OrderItem._fields))
        .outerjoin(order_items, order_items.c.order_id == order_details.c.order_id)
        .where(IdList(order_ids).among(order_details.c.order_id))
        .order_by(order_details.c.order_id, order_items.c.version)
    )
    found = {}
    for order_id, grouped in groupby(session.execute(query).mappings(), key=itemgetter("order_id")):
        rows = [dict(row) for row in grouped]
        items = tuple(_stored_item(row) for row in rows if row["item_version"] is not None)
        found[order_id] = _without_items(rows[0])._replace(items=items)
    return found


def _without_items(row: Mapping[str, Any]) -> OrderDetails:
    header = OrderHeader(**{name: row[name] for name in OrderHeader._fields})
    return OrderDetails(header=header, items_total=row["items_total"])


def _stored_item(row: Mapping[str, Any]) -> OrderItem:
    return OrderItem(**{name: row[f"item_{name}"] for name in OrderItem._fields})


def _item(version: int, event: OrderItemAdded) -> OrderItem:
    return OrderItem(
        version, event.product_name, event.quantity, event.unit_price, subtotal=event.quantity * event.unit_price
    )


def _row(view: OrderDetails) -> Values:
    return (*view.header, view.items_total)


def _item_rows(views: Sequence[OrderDetails]) -> list[Values]:
    return [(view.order_id, *item) for view in views for item in view.items]
