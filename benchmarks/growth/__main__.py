"""`make growth`: measures each cost at several sizes, and writes tables and curves into var/."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.charts import curves
from benchmarks.data import fill
from benchmarks.growth.costs import CALLS, Costs, of_database, of_order, of_read_models
from benchmarks.growth.workers import of_workers
from benchmarks.machine import settings
from benchmarks.report import number
from benchmarks.servers import ROOT, Servers, running_servers

ORDERS = (1_000, 10_000, 100_000, 1_000_000)
LENGTHS = (10, 100, 1_000, 10_000)
WORKERS = (1, 2, 4)

Table = dict[int, Costs]


def main(arguments: Sequence[str]) -> int:
    chosen = _parser().parse_args(arguments)
    into: Path = chosen.into or ROOT / "var"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with running_servers(into) as servers:
        servers.use_here(servers.postgres.superuser_url)
        tables = _measure(servers, chosen.most, chosen.workers, chosen.calls)
        text = as_markdown(tables, settings(servers))
    (into / "growth.md").write_text(text)
    (into / "growth.json").write_text(json.dumps(tables, indent=1) + "\n")
    for name, table in tables.items():
        (into / f"growth-{name.replace(' ', '-')}.svg").write_text(curves(_curves(table), name, sizes=True))
    print(text)
    return 0


def _measure(servers: Servers, most: int, workers: int, calls: int) -> dict[str, Table]:
    """By what grows. The lengths and read models are measured on the least database."""
    by_orders: Table = {}
    for orders in (each for each in ORDERS if each <= most):
        url = servers.database(f"growth_{orders}")
        started = time.monotonic()
        fill(url, orders)
        _say(f"{orders:,} orders, filled in {time.monotonic() - started:.0f} s")
        by_orders[orders] = of_database(servers, url, orders, calls)
        servers.drop_databases()
    url = servers.database("growth_lengths")
    fill(url, ORDERS[0])
    _say("one order's length")
    by_length = {events: of_order(url, events, calls) for events in LENGTHS if events <= most}
    _say("read models, then workers")
    return {
        "orders": by_orders,
        "events of one order": by_length,
        "read models": dict(of_read_models(url, calls)),
        "workers": {each: of_workers(servers, each, calls) for each in WORKERS if each <= workers},
    }


def as_markdown(tables: Mapping[str, Table], found: Mapping[str, str]) -> str:
    """A table per what grows: its sizes across, the costs down."""
    lines: list[str] = []
    for name, table in tables.items():
        lines += [f"| {name} | {' | '.join(f'{size:,}' for size in table)} |", "|---" * (len(table) + 1) + "|"]
        for cost in next(iter(table.values())):
            lines.append(f"| {cost} | {' | '.join(number(costs[cost]) for costs in table.values())} |")
        lines.append("")
    return "\n".join([*lines, *(f"- {name}: {value}" for name, value in found.items())]) + "\n"


def _curves(table: Table) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """A panel per unit, so that each has a scale that fits."""
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for cost in next(iter(table.values())):
        title = "milliseconds" if cost.endswith(", ms") else cost
        panels.setdefault(title, {})[cost.removesuffix(", ms")] = [(size, costs[cost]) for size, costs in table.items()]
    return panels


def _say(text: str) -> None:
    print(f"growth: {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--most", type=int, default=ORDERS[-1], help="orders, and events of one order")
    parser.add_argument("--workers", type=int, default=WORKERS[-1], help="the most of them")
    parser.add_argument("--calls", type=int, default=CALLS, help="of each kind; the figure is their median")
    parser.add_argument("--into", type=Path, help="folder for the result; var")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
