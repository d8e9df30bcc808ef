"""Orders with the Python `eventsourcing` library, the way its documentation builds an application on PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from sqlalchemy.engine import make_url

STATUS_PENDING, STATUS_CONFIRMED = "pending", "confirmed"


class EventsourcingOrder(Aggregate):
    @event("Placed")
    def __init__(self, customer_name: str, total_amount: Decimal, placed_at: datetime) -> None:
        self.customer_name = customer_name
        self.total_amount = total_amount
        self.placed_at = placed_at
        self.status = STATUS_PENDING
        self.item_count = 0

    @event("ItemAdded")
    def add_item(self, product_name: str, quantity: int, unit_price: Decimal, added_at: datetime) -> None:
        self.item_count += 1

    def confirm(self, now: datetime) -> None:
        if self.status != STATUS_PENDING:
            raise ValueError("only a pending order can be confirmed")
        if self.item_count == 0:
            raise ValueError("an order without items cannot be confirmed")
        self._confirm(confirmed_at=now)

    @event("Confirmed")
    def _confirm(self, confirmed_at: datetime) -> None:
        self.status = STATUS_CONFIRMED


class EventsourcingOrders(Application[UUID]):
    def append_placed(self, customer_name: str, total_amount: Decimal, now: datetime) -> None:
        """A new order's first event, straight to the event store."""
        order = EventsourcingOrder(customer_name, total_amount, now)
        self.events.put(order.collect_events())

    def place_with_item(self, number: int, now: datetime) -> Sequence[UUID]:
        """So many pending orders of two events each, in one transaction."""
        orders = [EventsourcingOrder("山田太郎", Decimal("83000.00"), now) for _ in range(number)]
        for order in orders:
            order.add_item("ノートPC", 1, Decimal("80000.00"), now)
        self.save(*orders)
        return [order.id for order in orders]

    def confirm(self, order_id: UUID, now: datetime) -> None:
        order: EventsourcingOrder = self.repository.get(order_id)
        order.confirm(now)
        self.save(order)


def eventsourcing_orders(database_url: str, threads: int, *, functions: bool = True) -> EventsourcingOrders:
    """With `functions` it stores by a function in the database, which its own speed runs do; it comes without."""
    return EventsourcingOrders(env=_environment(database_url, threads, functions))


def _environment(database_url: str, threads: int, functions: bool) -> Mapping[str, str]:
    """A connection per thread, never checked before use, which is its default."""
    url = make_url(database_url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_HOST": str(url.host),
        "POSTGRES_PORT": str(url.port),
        "POSTGRES_DBNAME": str(url.database),
        "POSTGRES_USER": str(url.username),
        "POSTGRES_PASSWORD": str(url.password),
        "POSTGRES_POOL_SIZE": str(threads),
        "POSTGRES_ENABLE_DB_FUNCTIONS": "yes" if functions else "no",
    }
