"""Projecting events through a Celery worker, beside tasks that do nothing through the same worker."""

from itertools import count
from statistics import median

import psycopg
from uuid_utils import uuid7

from benchmarks.bench import Bench
from benchmarks.data import add_stream
from benchmarks.figures import Measured, Run, in_turns, percentile, with_cpu
from benchmarks.programs import worker
from benchmarks.queue_load import empty_rate, project_rate, round_trips, sustained_rate, visible_after
from benchmarks.rows import ROW


def measure(bench: Bench) -> list[Measured]:
    url = bench.servers.database("project")
    with worker(bench.servers, url) as worker_group:
        rates = _rates(bench, url, worker_group)
        return [rates, _delays(bench, url)]


def _rates(bench: Bench, url: str, worker_group: int) -> Measured:
    redis = bench.servers.redis

    def ours(tasks: int) -> Run:
        ids = placed_orders(url, tasks)
        return with_cpu(lambda: project_rate(redis, worker_group, ids, url))

    def beside(tasks: int) -> Run:
        ids = [str(uuid7()) for _ in range(tasks)]
        return with_cpu(lambda: empty_rate(redis, worker_group, ids))

    few = bench.sizes.few_tasks
    beside(few)
    tasks = max(few, round(ours(few).value * bench.sizes.seconds))
    runs = in_turns(lambda: ours(tasks), lambda: beside(tasks), bench.sizes.pairs)
    _require_projected(url, few + tasks * bench.sizes.pairs)
    return Measured(ROW["project_vs_empty_task"], *runs)


def _delays(bench: Bench, url: str) -> Measured:
    """At half of what placing and projecting reach together: both have these cores only."""
    per_second = median([sustained_rate(url, bench.sizes.seconds) for _ in range(3)]) / 2
    seconds, numbers = bench.sizes.seconds * 2, count()  # so that a p99 stands on more than a handful

    def ours() -> Run:
        return with_cpu(lambda: percentile(visible_after(url, per_second, seconds), 99))

    def beside() -> Run:
        path = bench.servers.folder / f"round-trips-{next(numbers)}.txt"
        return with_cpu(lambda: percentile(round_trips(path, per_second, seconds), 99))

    return Measured(ROW["visible_p99_vs_task_roundtrip"], *in_turns(ours, beside, bench.sizes.pairs))


def placed_orders(url: str, number: int) -> list[str]:
    """New orders of one event each that no task was sent for."""
    ids = [str(uuid7()) for _ in range(number)]
    with psycopg.connect(url) as connection:
        for order_id in ids:
            add_stream(connection, order_id, events=1)
    return ids


def _require_projected(url: str, number: int) -> None:
    """Raises when a task that was counted has not done its work."""
    with psycopg.connect(url) as connection:
        for table in ("order_summary_read_models", "order_details_read_models"):
            row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            if row is None or row[0] != number:
                raise RuntimeError(f"{table} has {row} rows, not {number}.")
