"""What does not grow: the server's time for a request, a catch-up or a command, by the size of what is stored."""

import random
import time
from collections.abc import Callable, Iterator
from statistics import median

import psycopg
from sqlalchemy.orm import Session, sessionmaker
from uuid_utils import uuid7

from benchmarks.bench import Bench
from benchmarks.data import add_stream, fill, order_id, placed_at
from benchmarks.figures import Measured, Run, in_turns, with_cpu
from benchmarks.requests_in_process import App
from benchmarks.rows import ROW
from core.command_handler import OrderCommandHandler
from core.database import session_factory
from core.event_sourcing.postgres_store import stores
from core.orders.commands import AddOrderItem
from core.projection.catch_up import catch_up
from core.read_models.summary import PageEnd
from core.read_models.wiring import PROJECTORS
from webapp.api.cursor import encode_cursor

SHORT_ORDER = 10  # events
STATISTICS = "/orders/statistics"
DIFFERENT = 200  # orders and pages asked for in turns, so that not only what is cached is measured
SEED = 20260131
NO_CAP = 10**9  # items; the service refuses so long an order


def measure(bench: Bench) -> list[Measured]:
    urls = [bench.servers.database(name) for name in ("size_large", "size_small")]
    for url, orders in zip(urls, (bench.sizes.large, bench.sizes.small), strict=True):
        fill(url, orders)
    return [*_requests(bench, *urls), _idle_catch_up(bench, *urls), _long_order(bench, urls[1])]


def _requests(bench: Bench, large_url: str, small_url: str) -> list[Measured]:
    """Both sides ask for the same mixture, and get as much in each answer."""
    large, small = App(large_url), App(small_url)
    most, least = bench.sizes.large, bench.sizes.small
    details = large.get(list(order_paths(most)))
    return [
        _compare(bench, "list_1m_vs_1k", large.get(list(page_paths(most))), small.get(list(page_paths(least)))),
        _compare(bench, "statistics_1m_vs_1k", large.get([STATISTICS]), small.get([STATISTICS])),
        _compare(bench, "details_1m_vs_1k", details, small.get(list(order_paths(least)))),
        _compare(bench, "as_of_order_1m", large.get(list(past_paths(most))), details),
    ]


def order_paths(orders: int) -> Iterator[str]:
    for number in _numbers(1, orders):
        yield f"/orders/{order_id(number)}"


def past_paths(orders: int) -> Iterator[str]:
    """Each order as it was on the day after the last one was placed."""
    moment = placed_at(orders + 86_400).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (f"{path}?as_of={moment}" for path in order_paths(orders))


def page_paths(orders: int) -> Iterator[str]:
    """By turns the newest page, pages anywhere but near the end, and pages of one status."""
    yield from ("/orders", "/orders?status=pending")
    for number in _numbers(orders // 3, orders):
        cursor = encode_cursor(PageEnd(placed_at(number), order_id(number)))
        yield f"/orders?cursor={cursor}"
        yield f"/orders?status=pending&cursor={cursor}"


def _numbers(least: int, most: int) -> list[int]:
    return random.Random(SEED).choices(range(least, most + 1), k=DIFFERENT)


def _idle_catch_up(bench: Bench, large_url: str, small_url: str) -> Measured:
    large, small = session_factory(large_url), session_factory(small_url)
    return _compare(bench, "catch_up_idle_1m_vs_1k", lambda: _catch_up(large), lambda: _catch_up(small))


def _long_order(bench: Bench, url: str) -> Measured:
    """Each short order takes one item only; the long one hardly grows."""
    sessions, long_id = session_factory(url), str(uuid7())
    short_ids = [str(uuid7()) for _ in range((bench.sizes.pairs + 1) * bench.sizes.calls)]
    with psycopg.connect(url) as connection:
        add_stream(connection, long_id, bench.sizes.long_order)
        for short_id in short_ids:
            add_stream(connection, short_id, SHORT_ORDER)
    unused = iter(short_ids)
    return _compare(
        bench, "load_10k_vs_10", lambda: add_item(sessions, long_id), lambda: add_item(sessions, next(unused))
    )


def _compare(bench: Bench, row: str, ours: Callable[[], None], beside: Callable[[], None]) -> Measured:
    def side(call: Callable[[], None]) -> Callable[[], Run]:
        return lambda: with_cpu(lambda: _median_ms(call, bench.sizes.calls))

    in_turns(side(ours), side(beside), 1)  # to warm up
    return Measured(ROW[row], *in_turns(side(ours), side(beside), bench.sizes.pairs))


def _median_ms(call: Callable[[], None], calls: int) -> float:
    taken = []
    for _ in range(calls):
        started = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started) * 1000)
    return median(taken)


def _catch_up(sessions: sessionmaker[Session]) -> None:
    for name, projector in PROJECTORS.items():
        if catch_up(sessions, name, projector).events:
            raise RuntimeError("Catch-up found news where there is none.")


def add_item(sessions: sessionmaker[Session], order_id: str) -> None:
    command = AddOrderItem(order_id=order_id, product_name="ノートPC", quantity=1, unit_price=100)
    OrderCommandHandler(stores(sessions.kw["bind"]), max_items=NO_CAP).handle(command)
