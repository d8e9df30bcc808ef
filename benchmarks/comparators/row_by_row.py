"""The rebuild of the Rails original: empty the tables, then each event through each projector, saving as it goes."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import DeclarativeBase, Session

from core.database import metadata
from core.event_sourcing.tables import events
from core.read_models.details import order_details, order_items
from core.read_models.summary import order_summaries


class Model(DeclarativeBase):
    metadata = metadata


class Summary(Model):
    __table__ = order_summaries


class Details(Model):
    __table__ = order_details


class Item(Model):
    __table__ = order_items


def replay(engine: Engine, most: int) -> int:
    """The number of events replayed: the first `most` of the log, in batches as `find_each` reads them."""
    with Session(engine) as session, session.begin():
        for model in (Summary, Details, Item):
            session.execute(delete(model))
    replayed = 0
    for order_id, version, event_type, data in _read(engine, most):
        for model in (Summary, Details):
            with Session(engine) as session, session.begin():
                _apply(session, model, order_id, version, event_type, data)
        replayed += 1
    return replayed


def _read(engine: Engine, most: int) -> Iterator[Any]:
    query = select(events.c.aggregate_id, events.c.version, events.c.event_type, events.c.event_data)
    with engine.connect() as connection:
        yield from connection.execution_options(yield_per=1000).execute(query.order_by(events.c.position).limit(most))


def _apply(
    session: Session,
    model: type[Summary | Details],
    order_id: str,
    version: int,
    event_type: str,
    data: Mapping[str, Any],
) -> None:
    if event_type == "OrderPlaced":
        session.add(model(order_id=order_id, version=version, status="pending", **_placed(model, data)))
        return
    row: Any = session.get_one(model, order_id)
    row.version = version
    match event_type:
        case "OrderItemAdded" if model is Details:
            item = _item(data)
            session.add(Item(order_id=order_id, version=version, **item))
            row.items_total += item["subtotal"]
        case "OrderConfirmed":
            row.status, row.confirmed_at = "confirmed", _time(data["confirmed_at"])
        case "OrderShipped":
            row.status, row.shipped_at = "shipped", _time(data["shipped_at"])
            row.tracking_number = data["tracking_number"]
        case "OrderCancelled":
            row.status, row.cancelled_at, row.cancel_reason = "cancelled", _time(data["cancelled_at"]), data["reason"]


def _placed(model: type[Summary | Details], data: Mapping[str, Any]) -> dict[str, Any]:
    shown = {
        "customer_name": data["customer_name"],
        "total_amount": Decimal(data["total_amount"]),
        "placed_at": _time(data["placed_at"]),
    }
    return shown | ({"items_total": Decimal("0.00")} if model is Details else {})


def _item(data: Mapping[str, Any]) -> dict[str, Any]:
    unit_price = Decimal(data["unit_price"])
    subtotal = data["quantity"] * unit_price
    return {
        "product_name": data["product_name"],
        "quantity": data["quantity"],
        "unit_price": unit_price,
        "subtotal": subtotal,
    }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
