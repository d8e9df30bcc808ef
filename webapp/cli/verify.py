"""`flask verify`, and the comparison that it shares with `flask rebuild --dry-run`."""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import click
from flask.cli import with_appcontext

from core.event_sourcing.snapshots import forget_snapshots, wrong_snapshots
from core.event_sourcing.streams import IdList, Ids
from core.projection.project import Failure
from core.projection.rebuild import rebuild_orders
from core.projection.sums import recount
from core.projection.verify import Difference, Verified, sample, steps, verify, verify_sums
from core.safe_errors import describe
from webapp.cli.common import Chosen, chosen, database_faults, echo, names_argument, patience
from webapp.database import unhurried_sessions as sessions

MOST_SHOWN = 20
SAMPLE = "Only so many orders, picked at random; neither sums nor snapshots."


@dataclass(slots=True)
class Totals:
    """Of several comparisons; holds the first differences and broken streams only."""

    started: float = field(default_factory=time.monotonic)
    rows: int = 0
    behind: int = 0
    differing: int = 0
    differences: int = 0
    broken: int = 0
    first: list[Difference] = field(default_factory=list)
    first_broken: list[Failure] = field(default_factory=list)
    sums: list[Difference] = field(default_factory=list)
    snapshots: list[str] = field(default_factory=list)

    def add(self, verified: Verified) -> None:
        self.rows += verified.rows
        self.behind += verified.behind
        self.differing += sum(len(orders) for orders in verified.drifted.values())
        self.differences += len(verified.differences)
        self.broken += len(verified.broken)
        self.first += verified.differences[: MOST_SHOWN - len(self.first)]
        self.first_broken += verified.broken[: MOST_SHOWN - len(self.first_broken)]

    def echo(self) -> None:
        self.echo_differences()
        for failure in self.first_broken:
            echo(f"log: {failure.order_id} version {failure.version}: {describe(failure.error)}")
        if self.broken > len(self.first_broken):
            echo(f"log: … and {self.broken - len(self.first_broken)} more orders")
        rate = self.rows / max(time.monotonic() - self.started, 0.001)
        echo(
            f"{self.rows} rows checked, {self.differing} differ in {self.differences} places,"
            f" {self.behind} not brought up to date yet, {rate:,.0f} rows/s"
        )

    def echo_differences(self) -> None:
        for difference in self.first:
            where = f"{difference.name}: {difference.key} {difference.field}"
            echo(f"{where}: stored {difference.stored}, events say {difference.expected}")
        if self.differences > len(self.first):
            echo(f"… and {self.differences - len(self.first)} more differences")
        for difference in self.sums[:MOST_SHOWN]:
            where = f"{difference.name}: {difference.key} {difference.field}"
            echo(f"{where}: stored {difference.stored}, rows say {difference.expected}")
        if len(self.sums) > MOST_SHOWN:
            echo("… and more differences of sums")
        for order_id in self.snapshots:
            echo(f"snapshots: {order_id} is not what its events say")


def compare(of: Chosen, parts: Iterable[Ids], *, to_the_end: bool = False) -> Totals:
    totals = Totals()
    for ids in parts if of.models else ():
        totals.add(verify(sessions(), of.models, ids, to_the_end=to_the_end))
    totals.sums = verify_sums(sessions(), of.sums)
    return totals


@click.command("verify")
@names_argument
@click.option("--sample", "number", type=click.IntRange(min=1), help=SAMPLE)
@click.option("--repair", is_flag=True, help="Project the orders that differ again, and count again.")
@with_appcontext
def verify_command(names: tuple[str, ...], number: int | None, repair: bool) -> None:
    """Compare read models with the events, field by field, while everything runs.

    Without a name, all of them, and the write side's snapshots. Sums are compared with the rows they count. The log
    itself is checked too: versions without gaps, every event readable. Exit status 1 if anything differs, or still does
    after --repair."""
    of = chosen(names)
    if number:
        of = of._replace(sums={})
        echo("A sample of orders: sums and snapshots are not compared.")
    with database_faults():
        parts = [sample(sessions(), number)] if number else steps(sessions())
        totals = _repair(of, parts) if repair else compare(of, parts)
        if not names and not number:
            totals.snapshots = _wrong_snapshots(repair)
    totals.echo()
    sys.exit(1 if totals.differences or totals.broken or totals.sums or totals.snapshots else 0)


def _wrong_snapshots(repair: bool) -> list[str]:
    """Those that are left."""
    with sessions().begin() as session:
        wrong = list(wrong_snapshots(session))
        if repair and wrong:
            forget_snapshots(session, wrong)
            echo(f"{len(wrong)} snapshots removed: {', '.join(wrong[:MOST_SHOWN])}")
            return []
    return wrong


def _repair(of: Chosen, parts: Iterable[Ids]) -> Totals:
    """What still differs after making the rows of exactly those orders again that differ; says what differed."""
    totals, before, repaired = Totals(), Totals(), 0
    for ids in parts if of.models else ():
        found = verify(sessions(), of.models, ids)
        before.add(found)
        drifted = {name: IdList(sorted(orders)) for name, orders in found.drifted.items()}
        for name, orders in drifted.items():
            with sessions().begin() as session:
                rebuild_orders(session, orders, {name: of.models[name]}, patience())
        after = verify(sessions(), of.models, ids) if drifted else found
        repaired += sum(len(orders - after.drifted.get(name, set())) for name, orders in found.drifted.items())
        totals.add(after)
    before.sums = verify_sums(sessions(), of.sums)
    if before.sums:
        for sums in of.sums.values():
            with sessions().begin() as session:
                recount(session, sums)
        totals.sums = verify_sums(sessions(), of.sums)
    before.echo_differences()
    echo(f"{repaired} rows repaired")
    return totals
