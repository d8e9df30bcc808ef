"""`POST /orders` over HTTP, beside a view that does only what cannot be left out.

Ours has an API key, a fresh Idempotency-Key for each request, and validation; the view has none of them. What counting
requests for the rate limits costs is a row of its own. On both sides the time ends when every task is in the queue."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from redis import Redis

from benchmarks import http_load
from benchmarks.bench import Bench
from benchmarks.figures import Measured, Run, cpu_clock, in_turns, percentile
from benchmarks.http_load import requests_with_keys, same_request
from benchmarks.programs import BARE_VIEW, web
from benchmarks.queue_load import wait_until
from benchmarks.rows import ROW
from benchmarks.servers import WITHOUT_LIMITS, bearer_of_new_key

BODY = {"customer_name": "山田太郎", "total_amount": 83000}
CONNECTIONS = 16
STREAMS = 200  # as many as a process may have
TASK_QUEUES = ("orderlog", "celery")  # the service's, and Celery's own name for one


class TimedLoad(NamedTuple):
    latencies: list[float]
    seconds: float  # until all tasks were in the queue
    cpu_seconds: float


def measure(bench: Bench) -> list[Measured]:
    servers, pairs = bench.servers, bench.sizes.pairs
    url, floor_url = servers.database("post"), servers.database("post_floor")
    bearer = bearer_of_new_key(url)
    with_keys = requests_with_keys("/orders", BODY, {"Authorization": bearer})
    bare = same_request("/orders", BODY)
    with web(servers, url, served=WITHOUT_LIMITS) as port:
        with web(servers, floor_url, BARE_VIEW) as floor_port:
            ours, floor = _in_turns(
                lambda: _post(bench, port, with_keys), lambda: _post(bench, floor_port, bare), pairs
            )
        with web(servers, url) as limited_port:
            limited, unlimited = _in_turns(
                lambda: _post(bench, limited_port, with_keys), lambda: _post(bench, port, with_keys), max(1, pairs // 2)
            )
        with web(servers, url, served=WITHOUT_LIMITS) as streaming_port, _streams(streaming_port, bearer):
            streaming, alone = _in_turns(
                lambda: _post(bench, streaming_port, with_keys),
                lambda: _post(bench, port, with_keys),
                max(1, pairs // 2),
            )
    return [
        Measured(ROW["post_vs_floor"], _rates(ours), _rates(floor)),
        Measured(ROW["post_p99_ms_vs_floor"], _p99s(ours), _p99s(floor)),
        Measured(ROW["post_with_limits_vs_without"], _rates(limited), _rates(unlimited)),
        Measured(ROW["post_with_streams_vs_without"], _rates(streaming), _rates(alone)),
    ]


@contextmanager
def _streams(port: int, bearer: str) -> Iterator[None]:
    """Open for the block, of events that do not happen meanwhile."""
    request = f"GET /events/stream?type=OrderShipped HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(STREAMS):
            stream = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            stream.sendall(request.encode())
            if not stream.recv(1024).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("A stream was refused.")
        yield


def _in_turns(
    ours: Callable[[], TimedLoad], beside: Callable[[], TimedLoad], pairs: int
) -> tuple[list[TimedLoad], list[TimedLoad]]:
    """After a first pair to warm up."""
    taken = in_turns(ours, beside, pairs + 1)
    return taken[0][1:], taken[1][1:]


def _post(bench: Bench, port: int, next_request: Callable[[], bytes]) -> TimedLoad:
    redis, started = bench.servers.redis, time.monotonic()
    with cpu_clock() as cpu:
        latencies = http_load.post(port, next_request, CONNECTIONS, bench.sizes.seconds)
        wait_until(lambda: _enqueued(redis) == len(latencies), "A request that was answered has no task.")
    seconds = time.monotonic() - started
    redis.flushdb()  # no worker runs here; the tasks would only take up memory
    return TimedLoad(latencies, seconds, cpu.seconds)


def _enqueued(redis: Redis) -> int:
    return sum(int(redis.llen(queue)) for queue in TASK_QUEUES)


def _rates(loads: Sequence[TimedLoad]) -> list[Run]:
    return [Run(len(each.latencies) / each.seconds, each.cpu_seconds) for each in loads]


def _p99s(loads: Sequence[TimedLoad]) -> list[Run]:
    return [Run(percentile(each.latencies, 99), each.cpu_seconds) for each in loads]
