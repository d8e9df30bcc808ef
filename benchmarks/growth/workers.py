"""How many events per second more workers project."""

import time
from contextlib import ExitStack
from typing import Any

import psycopg
from psycopg import Connection

from benchmarks.groups.project import placed_orders
from benchmarks.growth.costs import Costs
from benchmarks.programs import pause, resume, worker
from benchmarks.queue_load import are_shown, wait_until
from benchmarks.servers import Servers
from worker.tasks import project_event

TASKS = 40  # per call of what else is measured


def of_workers(servers: Servers, number: int, calls: int) -> Costs:
    """All of them sleep until every task is enqueued, and get a few tasks before that to warm up."""
    tasks = calls * TASKS
    url = servers.database(f"workers_{number}")
    with ExitStack() as stack:
        groups = [stack.enter_context(worker(servers, url, f"worker-{each}")) for each in range(number)]
        connection = stack.enter_context(psycopg.connect(url, autocommit=True))
        _drain(servers, groups, placed_orders(url, tasks // 5), connection)
        seconds = _drain(servers, groups, placed_orders(url, tasks), connection)
    return {"projected events per s": tasks / seconds}


def _drain(servers: Servers, groups: list[int], ids: list[str], connection: Connection[Any]) -> float:
    redis = servers.redis
    for group in groups:
        pause(group)
    for order_id in ids:
        project_event.apply_async((order_id, 1))
    started = time.monotonic()
    for group in groups:
        resume(group)
    wait_until(lambda: not redis.llen("orderlog"))
    wait_until(lambda: are_shown(connection, ids))
    return time.monotonic() - started
