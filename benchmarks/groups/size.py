"""What does not grow: the server's time for a request, a catch-up or a command, by the size of what is stored."""

import time
from collections.abc import Callable
from statistics import median

import psycopg
from flask import Flask
from sqlalchemy.orm import Session, sessionmaker
from uuid_utils import uuid7

from benchmarks.bench import Bench
from benchmarks.cpu import with_cpu
from benchmarks.data import add_stream, fill, order_id
from benchmarks.figures import Measured, Run, in_turns
from benchmarks.rows import ROW
from core.command_handler import OrderCommandHandler
from core.database import session_factory, sqlalchemy_url
from core.event_sourcing.postgres_store import stores
from core.orders.commands import AddOrderItem
from core.read_models.catch_up import catch_up
from core.read_models.wiring import PROJECTORS
from webapp import create_app

SHORT_ORDER = 10  # events


def measure(bench: Bench) -> list[Measured]:
    urls = [bench.servers.database(name) for name in ("size_large", "size_small")]
    for url, orders in zip(urls, (bench.sizes.large, bench.sizes.small), strict=True):
        fill(url, orders)
    return [*_requests(bench, *urls), _idle_catch_up(bench, *urls), _long_order(bench, urls[1])]


def _requests(bench: Bench, large_url: str, small_url: str) -> list[Measured]:
    large, small = (create_app({"SQLALCHEMY_DATABASE_URI": sqlalchemy_url(url)}) for url in (large_url, small_url))
    middle = {"large": order_id(bench.sizes.large // 2), "small": order_id(bench.sizes.small // 2)}
    return [
        _compare(bench, "list_1m_vs_1k", _get(large, "/orders"), _get(small, "/orders")),
        _compare(bench, "statistics_1m_vs_1k", _get(large, "/orders/statistics"), _get(small, "/orders/statistics")),
        _compare(
            bench,
            "details_1m_vs_1k",
            _get(large, f"/orders/{middle['large']}"),
            _get(small, f"/orders/{middle['small']}"),
        ),
    ]


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
        bench, "load_10k_vs_10", lambda: _add_item(sessions, long_id), lambda: _add_item(sessions, next(unused))
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


def _get(app: Flask, path: str) -> Callable[[], None]:
    """A request handled in this process, without a network."""
    client = app.test_client()

    def get() -> None:
        answer = client.get(path)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status} {answer.get_data(as_text=True)}")

    return get


def _catch_up(sessions: sessionmaker[Session]) -> None:
    for name, projector in PROJECTORS.items():
        if catch_up(sessions, name, projector).events:
            raise RuntimeError("Catch-up found news where there is none.")


def _add_item(sessions: sessionmaker[Session], order_id: str) -> None:
    command = AddOrderItem(order_id=order_id, product_name="ノートPC", quantity=1, unit_price=100)
    OrderCommandHandler(stores(sessions.kw["bind"])).handle(command)
