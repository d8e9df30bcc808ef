"""`make bench`: measures every group, or the one named, and writes what it finds into var/."""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.bench import SIZES, Bench
from benchmarks.charts import bars
from benchmarks.figures import Measured
from benchmarks.groups import append, command, feed, post, project, rebuild, size
from benchmarks.machine import settings
from benchmarks.report import baseline, worse
from benchmarks.servers import ROOT, running_servers
from local.servers import CannotStart

GROUPS: dict[str, Callable[[Bench], list[Measured]]] = {
    "append": append.measure,
    "command": command.measure,
    "post": post.measure,
    "project": project.measure,
    "rebuild": rebuild.measure,
    "feed": feed.measure,
    "size": size.measure,
}


def main(arguments: Sequence[str]) -> int:
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.check and chosen.size != "full":
        parser.error("--check compares with figures of full size; leave out --size")
    groups = [chosen.only] if chosen.only else list(GROUPS)
    into: Path = chosen.into or ROOT / "var" / ("" if chosen.size == "full" else chosen.size)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers' data goes then too
    try:
        measured, table = _measure_all(groups, chosen.size, into)
    except CannotStart as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(table)
    return 1 if chosen.check and worse(measured, baseline()) else 0


def _measure_all(groups: Sequence[str], size: str, into: Path) -> tuple[list[Measured], str]:
    """Raises CannotStart."""
    started, sizes = time.monotonic(), SIZES[size]
    with running_servers(into) as servers:
        servers.use_here(servers.postgres.superuser_url)
        found = settings(servers) | {"size": f"{size}: {sizes}"}
        measured: dict[str, list[Measured]] = {}
        for group in groups:
            measured[group] = _measure(group, Bench(servers, sizes))
            found["measured in"] = f"{time.monotonic() - started:.0f} s"
            table = _write(into, measured, found, baseline() if size == "full" else {})
    return [each for group in measured.values() for each in group], table


def _measure(group: str, bench: Bench) -> list[Measured]:
    started = time.monotonic()
    _say(f"measuring {group}")
    measured = GROUPS[group](bench)
    bench.servers.drop_databases()
    _say(f"{group} took {time.monotonic() - started:.0f} s")
    return measured


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _write(
    into: Path, measured: Mapping[str, list[Measured]], found: Mapping[str, str], before: Mapping[str, float]
) -> str:
    """The table. Called after each group, so that what is measured is kept whatever becomes of the next one."""
    rows = [each for group in measured.values() for each in group]
    table = report.as_markdown(rows, found, before)
    (into / "bench.json").write_text(report.as_json(rows))
    (into / "bench.md").write_text(table)
    for group, of_group in measured.items():
        (into / f"bench-{group}.svg").write_text(bars(of_group))
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=GROUPS, help="measure one group")
    parser.add_argument(
        "--size",
        choices=SIZES,
        default="full",
        help="quick shows that everything works; its figures do not deserve the names of their rows",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="exit status 1 if a row is worse than in docs/bench.json, by more than chance does",
    )
    parser.add_argument("--into", type=Path, help="folder for the result; var, and var/quick for what is quick")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
