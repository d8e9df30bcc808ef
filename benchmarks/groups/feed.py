"""The feed over HTTP in pages of 1000, beside a plain SELECT of the same rows; and its last events beside the first."""

import http.client
import re
import time
from collections.abc import Callable, Iterator

import psycopg

from benchmarks.bench import Bench
from benchmarks.data import fill
from benchmarks.figures import Measured, Run, with_cpu
from benchmarks.programs import web
from benchmarks.rows import ROW
from benchmarks.servers import bearer_of_new_key
from core.event_sourcing import feed

PAGE = 1000
SELECT = """
    SELECT position, aggregate_id, version, event_type, event_data, metadata, occurred_at
    FROM events ORDER BY epoch, transaction_id, position LIMIT %s
"""
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
    return [Measured(ROW["feed_vs_sql"], ours, by_sql), Measured(ROW["feed_last_vs_first"], last, ours)]
