"""Appending events: how near to plain inserts, and how far ahead of another library."""

from collections.abc import Callable
from decimal import Decimal

from benchmarks.bench import Bench
from benchmarks.comparators.eventsourcing_orders import EventsourcingOrders, eventsourcing_orders
from benchmarks.comparators.pgbench import create_plain_log, pgbench_rate, write_script
from benchmarks.figures import Measured, Run, in_turns, with_cpu
from benchmarks.rows import EXTRA_ROW, ROW
from benchmarks.store_load import append_rate, appending_processes, rate_in_threads
from core.command_handler import utc_now

PROCESSES, THREADS_EACH = 2, 8
THREADS = 8  # beside eventsourcing, in this process
WARM_UP = 0.5  # seconds


def measure(bench: Bench) -> list[Measured]:
    return [_beside_pgbench(bench), *_beside_eventsourcing(bench)]


def _beside_pgbench(bench: Bench) -> Measured:
    url, seconds = bench.servers.database("append_c16"), bench.sizes.seconds
    create_plain_log(url)
    script = write_script(bench.servers.folder)
    with appending_processes(PROCESSES) as processes:
        processes.rate(url, THREADS_EACH, WARM_UP)
        ours, beside = in_turns(
            lambda: with_cpu(lambda: processes.rate(url, THREADS_EACH, seconds)),
            lambda: with_cpu(lambda: pgbench_rate(url, script, PROCESSES * THREADS_EACH, seconds)),
            bench.sizes.pairs,
        )
    return Measured(ROW["append_vs_pgbench_c16"], ours, beside)


def _beside_eventsourcing(bench: Bench) -> list[Measured]:
    """As fast as it can be made; and, shortly, as it comes."""
    servers, seconds, pairs = bench.servers, bench.sizes.seconds, bench.sizes.pairs
    url = servers.database("append_c8")
    best_url, default_url = (servers.empty_database(name) for name in ("append_c8_functions", "append_c8_default"))
    with (
        eventsourcing_orders(best_url, THREADS) as best,
        eventsourcing_orders(default_url, THREADS, functions=False) as default,
    ):
        for side in (_ours(url, WARM_UP), _theirs(best, WARM_UP), _theirs(default, WARM_UP)):
            side()
        beside_best = in_turns(_ours(url, seconds), _theirs(best, seconds), pairs)
        beside_default = in_turns(_ours(url, seconds / 2), _theirs(default, seconds / 2), max(1, pairs // 2))
    return [
        Measured(ROW["append_vs_eventsourcing_c8"], *beside_best),
        Measured(EXTRA_ROW["append_vs_eventsourcing_default_c8"], *beside_default),
    ]


def _ours(url: str, seconds: float) -> Callable[[], Run]:
    return lambda: with_cpu(lambda: append_rate(url, THREADS, seconds))


def _theirs(other: EventsourcingOrders, seconds: float) -> Callable[[], Run]:
    def append() -> None:
        other.append_placed("山田太郎", Decimal("83000.00"), utc_now())

    return lambda: with_cpu(lambda: rate_in_threads(append, THREADS, seconds))
