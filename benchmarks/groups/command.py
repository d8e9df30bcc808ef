"""One whole command: load the order, let it decide, append its event and commit."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

import psycopg
from sqlalchemy.orm import Session, sessionmaker
from uuid_utils import uuid7

from benchmarks.bench import Bench
from benchmarks.comparators.eventsourcing_orders import EventsourcingOrders, eventsourcing_orders
from benchmarks.data import add_stream
from benchmarks.figures import Measured, Run, in_turns, with_cpu
from benchmarks.rows import ROW
from core.command_handler import OrderCommandHandler, utc_now
from core.database import session_factory
from core.event_sourcing.postgres_store import stores
from core.orders.commands import ConfirmOrder

Id = TypeVar("Id")


def measure(bench: Bench) -> list[Measured]:
    url, few = bench.servers.database("command"), bench.sizes.few_commands
    sessions = session_factory(url)
    with eventsourcing_orders(bench.servers.empty_database("command_eventsourcing"), threads=1) as other:

        def ours(number: int) -> Run:
            ids = pending_orders(url, number)
            return with_cpu(lambda: _rate(lambda order_id: confirm(sessions, order_id), ids))

        def beside(number: int) -> Run:
            ids = _pending_orders_of(other, number)
            return with_cpu(lambda: _rate(lambda order_id: other.confirm(order_id, utc_now()), ids))

        beside(few)
        number = max(few, round(ours(few).value * bench.sizes.seconds))
        runs = in_turns(lambda: ours(number), lambda: beside(number), bench.sizes.pairs)
    sessions.kw["bind"].dispose()
    return [Measured(ROW["command_vs_eventsourcing_c1"], *runs)]


def pending_orders(database_url: str, number: int) -> list[str]:
    """New orders of two events each: placed, and one item."""
    ids = [str(uuid7()) for _ in range(number)]
    with psycopg.connect(database_url) as connection:
        for order_id in ids:
            add_stream(connection, order_id, events=2)
    return ids


def confirm(sessions: sessionmaker[Session], order_id: str) -> None:
    """As the web application does it."""
    OrderCommandHandler(stores(sessions.kw["bind"])).handle(ConfirmOrder(order_id=order_id))


def _pending_orders_of(other: EventsourcingOrders, number: int) -> list[UUID]:
    return [order_id for _ in range(0, number, 50) for order_id in other.place_with_item(min(50, number), utc_now())]


def _rate(command: Callable[[Id], None], ids: Sequence[Id]) -> float:
    started = time.monotonic()
    for order_id in ids:
        command(order_id)
    return len(ids) / (time.monotonic() - started)
