"""Appending events: how near to plain inserts, and how far ahead of another library."""

from decimal import Decimal

from benchmarks.bench import Bench
from benchmarks.comparators.eventsourcing_orders import eventsourcing_orders
from benchmarks.comparators.pgbench import create_plain_log, pgbench_rate, write_script
from benchmarks.cpu import with_cpu
from benchmarks.figures import Measured, in_turns
from benchmarks.rows import ROW
from benchmarks.store_load import append_rate, appending_processes
from benchmarks.threads import rate_in_threads
from core.command_handler import utc_now

PROCESSES, THREADS_EACH = 2, 8
WARM_UP = 0.5  # seconds


def measure(bench: Bench) -> list[Measured]:
    return [_beside_pgbench(bench), _beside_eventsourcing(bench)]


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


def _beside_eventsourcing(bench: Bench) -> Measured:
    url, seconds = bench.servers.database("append_c8"), bench.sizes.seconds
    with eventsourcing_orders(bench.servers.empty_database("append_c8_eventsourcing"), threads=8) as other:

        def append_to_other() -> None:
            other.append_placed("山田太郎", Decimal("83000.00"), utc_now())

        append_rate(url, 8, WARM_UP)
        rate_in_threads(append_to_other, 8, WARM_UP)
        ours, beside = in_turns(
            lambda: with_cpu(lambda: append_rate(url, 8, seconds)),
            lambda: with_cpu(lambda: rate_in_threads(append_to_other, 8, seconds)),
            bench.sizes.pairs,
        )
    return Measured(ROW["append_vs_eventsourcing_c8"], ours, beside)
