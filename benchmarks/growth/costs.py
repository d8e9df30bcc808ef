"""What one thing costs on a database of some size: milliseconds, as a median of several calls."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from statistics import median

import psycopg
from sqlalchemy.orm import Session, sessionmaker
from uuid_utils import uuid7

from benchmarks.data import add_stream, order_id
from benchmarks.groups.rebuild import report_of
from benchmarks.groups.size import STATISTICS, add_item, order_paths, page_paths, past_paths
from benchmarks.requests_in_process import App
from benchmarks.servers import ROOT, Servers
from benchmarks.store_load import append_placed
from core.database import session_factory
from core.projection.catch_up import catch_up
from core.read_models.wiring import PROJECTORS

CALLS = 40  # of each kind
NEW_ORDERS = 12  # to be projected, per call

Costs = dict[str, float]


def of_database(servers: Servers, url: str, orders: int, calls: int) -> Costs:
    """Of a database that `fill` has made with so many orders; adds a few."""
    app, sessions = App(url), session_factory(url)
    size = _bytes_per_event(url)
    pending = cycle([order_id(number) for number in range(4, orders, 4)])
    costs = {
        "list, ms": _ms(app.get(list(page_paths(orders))), calls),
        "statistics, ms": _ms(app.get([STATISTICS]), calls),
        "details, ms": _ms(app.get(list(order_paths(orders))), calls),
        "as of a time, ms": _ms(app.get(list(past_paths(orders))), calls),
        "idle catch-up, ms": _ms(lambda: project_all(sessions), calls),
        "append, ms": _ms(lambda: append_placed(sessions), calls),
        "command, ms": _ms(lambda: add_item(sessions, next(pending)), calls),
    }
    costs |= {"projection per event, many at once, ms": projection_ms(url, sessions, calls), "bytes per event": size}
    costs |= {"rebuild, events per s": _rebuild_rate(servers, url)}
    sessions.kw["bind"].dispose()
    return costs


def of_order(url: str, events: int, calls: int) -> Costs:
    """Of one order that has so many events; adds a few."""
    app, sessions, long_id = App(url), session_factory(url), str(uuid7())
    with psycopg.connect(url) as connection:
        add_stream(connection, long_id, events)
    project_all(sessions)
    costs = {
        "command, ms": _ms(lambda: add_item(sessions, long_id), calls),
        "catch-up with its next event, ms": _ms(
            lambda: project_all(sessions), calls, before=lambda: add_item(sessions, long_id)
        ),
        "details, ms": _ms(app.get([f"/orders/{long_id}"]), calls),
        "as of a time, ms": _ms(app.get([f"/orders/{long_id}?as_of=2026-01-02T00:00:00Z"]), calls),
    }
    sessions.kw["bind"].dispose()
    return costs


def of_read_models(url: str, calls: int) -> Iterator[tuple[int, Costs]]:
    """By how many there are."""
    sessions = session_factory(url)
    for number in range(1, len(PROJECTORS) + 1):
        names = list(PROJECTORS)[:number]
        yield number, {"projection per event, many at once, ms": projection_ms(url, sessions, calls, names)}
    sessions.kw["bind"].dispose()


def projection_ms(
    url: str, sessions: sessionmaker[Session], calls: int, names: Sequence[str] = tuple(PROJECTORS)
) -> float:
    """Per event of new orders, many at once, by one catch-up."""
    project_all(sessions)
    number = calls * NEW_ORDERS
    with psycopg.connect(url) as connection:
        for _ in range(number):
            add_stream(connection, str(uuid7()), events=1)
    started = time.perf_counter()
    project_all(sessions, names)
    return (time.perf_counter() - started) * 1000 / number


def project_all(sessions: sessionmaker[Session], names: Sequence[str] = tuple(PROJECTORS)) -> None:
    for name in names:
        catch_up(sessions, name, PROJECTORS[name])


def _ms(call: Callable[[], None], calls: int, *, before: Callable[[], None] = lambda: None) -> float:
    """The median, after a first quarter to warm up."""
    taken = []
    for _ in range(calls + calls // 4):
        before()
        started = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started) * 1000)
    return median(taken[-calls:])


def _bytes_per_event(url: str) -> float:
    """Of all tables and indexes: the event, and its part of the read models."""
    sizes = "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT ({sizes})::float / count(*) FROM events").fetchone()
    return float(row[0]) if row else 0.0


def _rebuild_rate(servers: Servers, url: str) -> float:
    """Of `flask rebuild` with every read model, as it reports it."""
    command = [sys.executable, "-m", "flask", "rebuild"]
    ran = subprocess.run(command, cwd=ROOT, env=servers.environment(url), capture_output=True, text=True, check=True)
    return report_of(ran.stdout).per_second
