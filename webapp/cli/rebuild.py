"""`flask rebuild`."""

import gc
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from core.database import session_factory
from core.projection.parking import failing_orders, forget_overcome
from core.projection.read_model import ReadModel
from core.projection.rebuild import rebuild_next_range
from core.projection.rebuild_plan import EVENTS_PER_RANGE, PlanIsGone, RebuildPlan
from core.projection.sums import recount
from core.projection.verify import steps
from core.safe_errors import DATABASE_ERRORS
from core.settings import Patience
from webapp.cli.common import chosen, database_faults, echo, names_argument, patience
from webapp.cli.progress import Report, reporting
from webapp.cli.verify import MOST_SHOWN, compare
from webapp.database import unhurried_sessions as sessions

LOOK_SECONDS = 0.2  # how often to look how far the other processes are

MOST_JOBS = 64
CORES = min(os.cpu_count() or 1, MOST_JOBS)
JOBS = "How many processes to use here."


@click.command("rebuild")
@names_argument
@click.option("--jobs", type=click.IntRange(1, MOST_JOBS), default=CORES, show_default="one per core", help=JOBS)
@click.option("--dry-run", is_flag=True, help="Say what would change and write nothing.")
@with_appcontext
def rebuild_command(names: tuple[str, ...], jobs: int, dry_run: bool) -> None:
    """Make read models again from the events.

    Without a name, all of them. The service may keep running: readers see each order before or after, never a
    partial list. May be stopped at any point and started again."""
    of = chosen(names)
    with database_faults():
        if dry_run:
            compare(of, steps(sessions()), to_the_end=True).echo()
            return
        try:
            if of.models:
                _rebuild(of.models, jobs)
            for name, sums in of.sums.items():
                with sessions().begin() as session:
                    recount(session, sums)
                echo(f"{name}: counted again")
        except PlanIsGone as error:
            raise click.ClickException(str(error)) from error
        failing = _failing(of.models)
    for name, order_id in failing[:MOST_SHOWN]:
        echo(f"{name}: order {order_id} was rebuilt only in part; see `flask parked show {order_id}`", err=True)
    if len(failing) > MOST_SHOWN:
        echo(f"… and {len(failing) - MOST_SHOWN} more orders", err=True)
    sys.exit(1 if failing else 0)


def _rebuild(projectors: Mapping[str, ReadModel[Any]], jobs: int) -> None:
    label = ", ".join(projectors)
    with RebuildPlan(sessions()) as plan:
        with reporting(label) as report:
            _take_ranges(plan, projectors, jobs, report)
        done = plan.progress()
    echo(f"{label}: {done.done} events in {done.seconds:.1f} s, {done.rate:,.0f} events/s")


def _failing(projectors: Mapping[str, ReadModel[Any]]) -> list[tuple[str, str]]:
    """(projector, order id) of each order that is shown only in part."""
    with sessions().begin() as session:
        for name, projector in projectors.items():
            forget_overcome(session, name, projector)
        return failing_orders(session, list(projectors))


def _take_ranges(plan: RebuildPlan, projectors: Mapping[str, ReadModel[Any]], jobs: int, report: Report) -> None:
    """What nobody else has done. A range that a process held which was killed is free a moment later."""
    progress = plan.progress()
    with _helpers(plan, list(projectors), min(jobs, progress.ranges_left) - 1), _little_garbage_collection():
        while progress.ranges_left:
            if not rebuild_next_range(sessions(), plan.id, projectors, patience()):
                time.sleep(LOOK_SECONDS)
            progress = plan.progress()
            report(progress)


@contextmanager
def _helpers(plan: RebuildPlan, names: Sequence[str], number: int) -> Iterator[None]:
    """So many more processes take ranges while the block runs; what one leaves that dies is left to others."""
    spawn = multiprocessing.get_context("spawn")
    database = current_app.config["COMMANDS_URL"], current_app.config["COMMANDS_POOLED"]
    what = (*database, plan.id, names, patience())
    helpers = [spawn.Process(target=help_out, args=what, daemon=True) for _ in range(number)]
    for helper in helpers:
        helper.start()
    try:
        yield
    finally:
        for helper in helpers:
            helper.terminate()  # it has nothing left to do, or the command has failed
            helper.join()


def help_out(database_url: str, pooled: bool, rebuild_id: str, names: Sequence[str], patience: Patience) -> None:
    """Take ranges until none is left to take, or the process that started this one has died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the starter gets it too, and ends this process
    starter, projectors = multiprocessing.parent_process(), chosen(names)
    own_sessions = session_factory(database_url, pooled=pooled)
    with _little_garbage_collection(), suppress(*DATABASE_ERRORS):  # the starter meets the same fault, and says so
        while starter and starter.is_alive():
            if not rebuild_next_range(own_sessions, rebuild_id, projectors.models, patience):
                return


@contextmanager
def _little_garbage_collection() -> Iterator[None]:
    """To search all that is imported, and a range's events again and again, would make it 1.6 times the CPU."""
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(EVENTS_PER_RANGE * 20)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
