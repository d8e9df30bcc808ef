"""`flask rebuild` of every read model from nothing, beside plain SQL and beside replaying event by event."""

import os
import re
import resource
import subprocess
import sys
import time
from typing import NamedTuple

import psycopg
from psycopg import sql

from benchmarks.bench import Bench
from benchmarks.comparators.row_by_row import replay
from benchmarks.comparators.sql_read_models import make_summaries
from benchmarks.cpu import cpu_clock, with_cpu
from benchmarks.data import fill, settle
from benchmarks.figures import Measured, Run
from benchmarks.rows import ROW
from benchmarks.servers import ROOT
from core.database import connect
from core.read_models.wiring import PROJECTORS

TABLE = "sql_summaries"


class Rebuilt(NamedTuple):
    run: Run
    peak: Run


def measure(bench: Bench) -> list[Measured]:
    """Three in turns: the rebuild, the SQL, the replay."""
    servers, sizes = bench.servers, bench.sizes
    url, replayed_url = servers.database("rebuild"), servers.database("rebuild_row_by_row")
    number = fill(url, sizes.rebuilt_orders)
    fill(replayed_url, sizes.replayed_events)
    ours, by_sql, replayed = [], [], []
    for _ in range(sizes.pairs):
        ours.append(_rebuild(bench, url, number))
        by_sql.append(_group_by(url, number))
        replayed.append(_replay(replayed_url, sizes.replayed_events))
        settle(url)
    rates = [each.run for each in ours]
    return [
        Measured(ROW["rebuild_vs_sql"], rates, by_sql),
        Measured(ROW["rebuild_vs_row_by_row"], rates, replayed),
        Measured(ROW["rebuild_peak_mb"], [_peak(bench)]),
    ]


def _peak(bench: Bench) -> Run:
    """Of one rebuild, with more events than are worth rebuilding several times."""
    url = bench.servers.database("rebuild_peak")
    return _rebuild(bench, url, fill(url, bench.sizes.most_rebuilt_orders)).peak


def _rebuild(bench: Bench, url: str, number: int) -> Rebuilt:
    """Into emptied read models, so that every row has to be written; by the seconds that the command itself reports,
    which leave out only Python's start."""
    _empty(url)
    command = [sys.executable, "-m", "flask", "rebuild"]
    environment = {**os.environ, **bench.servers.environment(url)}
    with cpu_clock() as cpu:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    found = re.search(r"(\d+) events in ([0-9.]+) s", output.splitlines()[-1])
    if process.returncode or found is None or int(found[1]) != number:
        raise RuntimeError(f"flask rebuild failed:\n{output}")
    return Rebuilt(Run(number / float(found[2]), cpu.seconds), Run(_megabytes(usage), cpu.seconds))


def _empty(url: str) -> None:
    tables = [sql.Identifier(table.name) for projector in PROJECTORS.values() for table in projector.tables]
    with psycopg.connect(url) as connection:
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(tables)))


def _group_by(url: str, number: int) -> Run:
    """Into an empty table with the indexes that the service's has."""

    def rate() -> float:
        with psycopg.connect(url) as connection:
            connection.execute(f"CREATE TABLE {TABLE} (LIKE order_summary_read_models INCLUDING ALL)")
            started = time.monotonic()
            make_summaries(connection, TABLE)
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


def _megabytes(usage: resource.struct_rusage) -> float:
    """Linux counts in kilobytes, macOS in bytes."""
    return usage.ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
