"""The feed over HTTP in pages of 1000, beside a plain SELECT of the same rows; its last events beside the first.

And how long an event takes to a client of the live stream."""

import http.client
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
from uuid_utils import uuid7

from benchmarks.bench import Bench
from benchmarks.data import fill
from benchmarks.figures import Measured, Run, percentile, with_cpu
from benchmarks.programs import web
from benchmarks.queue_load import wait_until
from benchmarks.rows import ROW
from benchmarks.servers import bearer_of_new_key
from core.command_handler import OrderCommandHandler
from core.database import session_factory
from core.event_sourcing import feed
from core.event_sourcing.postgres_store import stores
from core.orders.commands import PlaceOrder

PAGE = 1000
SELECT = """
    SELECT position, aggregate_id, version, event_type, event_data, metadata, occurred_at
    FROM events ORDER BY epoch, transaction_id, position LIMIT %s
"""
COMMITTED = "SELECT aggregate_id || '/' || version, pg_xact_commit_timestamp(xmin) FROM events"
NEXT_CURSOR = re.compile(rb'"next_cursor":"([^"]*)"}$')


def rate(number: int, read: Callable[[], object]) -> float:
    started = time.monotonic()
    read()
    return number / (time.monotonic() - started)


class Follower:
    """On one connection. It counts events rather than read their JSON: it shares the machine with the server."""

    def __init__(self, port: int, bearer: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._headers = {"Authorization": bearer}

    def pages(self, after: str, most: int) -> Iterator[str]:
        """The cursor behind each page, of so many events. Raises RuntimeError where there are fewer."""
        for number in range(0, most, PAGE):
            wanted = min(PAGE, most - number)
            self._connection.request("GET", f"/events?limit={wanted}&after={after}", headers=self._headers)
            answer = self._connection.getresponse()
            body = answer.read()
            found = NEXT_CURSOR.search(body)
            if found is None or body.count(b'{"specversion"') != wanted:
                raise RuntimeError(f"The feed answers {answer.status} {body[:200]!r} after {number} events.")
            after = found[1].decode()
            yield after

    def run(self, after: str, most: int) -> Run:
        return with_cpu(lambda: rate(most, lambda: list(self.pages(after, most))))


def measure(bench: Bench) -> list[Measured]:
    url = bench.servers.database("feed")
    number = fill(url, bench.sizes.most_rebuilt_orders)
    some = number // 10
    ours, by_sql, last = [], [], []
    with web(bench.servers, url) as port, psycopg.connect(url) as connection:
        follower, start = Follower(port, bearer_of_new_key(url)), feed.encode(feed.START)
        *_, near_the_end = follower.pages(start, number - some)
        for _ in range(bench.sizes.pairs):
            ours.append(follower.run(start, some))
            by_sql.append(with_cpu(lambda: rate(some, lambda: connection.execute(SELECT, [some]).fetchall())))
            last.append(follower.run(near_the_end, some))
    return [
        Measured(ROW["feed_vs_sql"], ours, by_sql),
        Measured(ROW["feed_last_vs_first"], last, ours),
        Measured(ROW["stream_p99_ms"], [with_cpu(lambda: _latency(bench))]),
    ]


@dataclass(slots=True)
class Listener:
    """Of the stream, on one connection: when each event came."""

    port: int
    bearer: str
    came: dict[str, float] = field(default_factory=dict)

    def listen(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", "/events/stream", headers={"Authorization": self.bearer})
        for line in connection.getresponse():
            if line.startswith(b"data: "):
                self.came[json.loads(line[6:])["id"]] = time.time()


def _latency(bench: Bench) -> float:
    """From the commit, whose time PostgreSQL notes, at 20 times as many moments as there are calls."""
    url = bench.servers.database("stream")
    sessions = session_factory(url)
    handler, events = OrderCommandHandler(stores(sessions.kw["bind"])), 20 * bench.sizes.calls
    with web(bench.servers, url) as port:
        listener = Listener(port, bearer_of_new_key(url))
        threading.Thread(target=listener.listen, daemon=True).start()
        for number in range(events):
            handler.handle(PlaceOrder(order_id=str(uuid7()), customer_name="山田太郎", total_amount=83000))
            wait_until(lambda: len(listener.came) > number, "An event does not come to the client of the stream.")  # noqa: B023
            time.sleep(random.uniform(0, 0.1))
    with psycopg.connect(url) as connection:
        committed: dict[str, datetime] = dict(connection.execute(COMMITTED).fetchall())
    sessions.kw["bind"].dispose()
    return percentile([(listener.came[name] - at.timestamp()) * 1000 for name, at in committed.items()], 99)
