"""`flask rebuild` of every read model from nothing, beside plain SQL and beside replaying event by event."""

import os
import re
import subprocess
import sys
import time
from typing import NamedTuple

import psycopg
from psycopg import sql

from benchmarks.bench import Bench
from benchmarks.comparators.row_by_row import replay
from benchmarks.comparators.sql_read_models import make_indexes, make_summaries
from benchmarks.data import fill, settle
from benchmarks.figures import Measured, Run, cpu_clock, with_cpu
from benchmarks.rows import EXTRA_ROW, ROW
from benchmarks.servers import ROOT
from core.database import connect
from core.read_models.wiring import PROJECTORS

TABLE = "sql_summaries"

# What a process has needed before it becomes another program counts for that one too, so this large process does not
# start it itself.
REBUILD = """
import resource, subprocess, sys
ran = subprocess.run([sys.executable, "-m", "flask", "rebuild"])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(ran.returncode)
"""


class Report(NamedTuple):
    events: int
    per_second: float


class Rebuilt(NamedTuple):
    run: Run
    peak: Run


def measure(bench: Bench) -> list[Measured]:
    """In turns: the rebuild, the SQL in two ways, the replay."""
    servers, sizes = bench.servers, bench.sizes
    url, replayed_url = servers.database("rebuild"), servers.database("rebuild_row_by_row")
    number = fill(url, sizes.rebuilt_orders)
    fill(replayed_url, sizes.replayed_events)
    _stop_counting(replayed_url)
    ours, by_sql, in_place, replayed = [], [], [], []
    for _ in range(sizes.pairs):
        ours.append(_rebuild(bench, url, number))
        by_sql.append(_group_by(url, number, indexes_first=False))
        in_place.append(_group_by(url, number, indexes_first=True))
        replayed.append(_replay(replayed_url, sizes.replayed_events))
        settle(url)
    rates = [each.run for each in ours]
    return [
        Measured(ROW["rebuild_vs_sql"], rates, by_sql),
        Measured(EXTRA_ROW["rebuild_vs_sql_in_place"], rates, in_place),
        Measured(ROW["rebuild_vs_row_by_row"], rates, replayed),
        Measured(ROW["rebuild_peak_mb"], [_peak(bench)]),
    ]


def _peak(bench: Bench) -> Run:
    """Of one rebuild, with more events than are worth rebuilding several times."""
    url = bench.servers.database("rebuild_peak")
    return _rebuild(bench, url, fill(url, bench.sizes.most_rebuilt_orders)).peak


def _rebuild(bench: Bench, url: str, number: int) -> Rebuilt:
    """Into emptied read models; by the rate that the command itself reports, which leaves out only Python's start."""
    _empty(url)
    environment = {**os.environ, **bench.servers.environment(url)}
    command = [sys.executable, "-c", REBUILD]
    with cpu_clock() as cpu:
        ran = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    *_, peak = ["", *ran.stdout.splitlines()]
    said = report_of(ran.stdout)
    if ran.returncode or said.events != number:
        raise RuntimeError(f"flask rebuild failed:\n{ran.stdout}")
    return Rebuilt(Run(said.per_second, cpu.seconds), Run(_megabytes(int(peak)), cpu.seconds))


def report_of(output: str) -> Report:
    """What `flask rebuild` says when it is done."""
    found = re.search(r"(\d+) events in .* s, ([\d,]+) events/s", output)
    if found is None:
        raise RuntimeError(f"flask rebuild says nothing of its rate:\n{output}")
    return Report(int(found[1]), float(found[2].replace(",", "")))


def _empty(url: str) -> None:
    tables = [sql.Identifier(table.name) for projector in PROJECTORS.values() for table in projector.tables]
    with psycopg.connect(url) as connection:
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(tables)))


def _stop_counting(url: str) -> None:
    """The original has no counters to keep."""
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE order_summary_read_models DISABLE TRIGGER USER")


def _group_by(url: str, number: int, *, indexes_first: bool) -> Run:
    """Into an empty table, which gets the indexes of the service's before that or, quicker, after it."""
    indexes = "INCLUDING ALL" if indexes_first else "INCLUDING ALL EXCLUDING INDEXES"

    def rate() -> float:
        with psycopg.connect(url) as connection:
            connection.execute(f"CREATE TABLE {TABLE} (LIKE order_summary_read_models {indexes})")
            started = time.monotonic()
            make_summaries(connection, TABLE)
            if not indexes_first:
                make_indexes(connection, TABLE)
            connection.commit()
            seconds = time.monotonic() - started
            connection.execute(f"DROP TABLE {TABLE}")
        return number / seconds

    return with_cpu(rate)


def _replay(url: str, most: int) -> Run:
    def rate() -> float:
        engine = connect(url)
        started = time.monotonic()
        replayed = replay(engine, most)
        seconds = time.monotonic() - started
        engine.dispose()
        return replayed / seconds

    return with_cpu(rate)


def _megabytes(peak: int) -> float:
    """Linux counts in kilobytes, macOS in bytes."""
    return peak / (1024**2 if sys.platform == "darwin" else 1024)
