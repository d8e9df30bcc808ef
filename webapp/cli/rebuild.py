"""`flask rebuild`."""

import gc
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import click
import psycopg
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import DBAPIError

from core.database import session_factory
from core.projection.parking import failing_orders, forget_overcome
from core.projection.read_model import ReadModel
from core.projection.rebuild import rebuild_next_range
from core.projection.rebuild_plan import EVENTS_PER_RANGE, PlanIsGone, RebuildPlan
from core.projection.sums import recount
from core.projection.verify import steps
from core.settings import Patience
from webapp.cli.common import chosen, database_faults, names_argument, patience
from webapp.cli.progress import Report, reporting
from webapp.cli.second_thread import pause, second_thread
from webapp.cli.verify import MOST_SHOWN, compare
from webapp.database import unhurried_sessions as sessions
from worker.rebuild import BrokerAway, ask_for_ranges, ranges_waiting

# How often to look how far others are, and after what standstill to ask the workers again for what is left.
LOOK_SECONDS = 0.2
STANDSTILL_SECONDS = 10.0


@click.command("rebuild")
@names_argument
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes to use here.")
@click.option("--on-workers", is_flag=True, help="Spread the work over the Celery workers instead.")
@click.option("--dry-run", is_flag=True, help="Say what would change and write nothing.")
@with_appcontext
def rebuild_command(names: tuple[str, ...], jobs: int, on_workers: bool, dry_run: bool) -> None:
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
                _rebuild(of.models, jobs, on_workers)
            for name, sums in of.sums.items():
                with sessions().begin() as session:
                    recount(session, sums)
                click.echo(f"{name}: counted again")
        except (PlanIsGone, BrokerAway) as error:
            raise click.ClickException(str(error)) from error
        failing = _failing(of.models)
    for name, order_id in failing[:MOST_SHOWN]:
        click.echo(f"{name}: order {order_id} was rebuilt only in part; see `flask parked show {order_id}`", err=True)
    if len(failing) > MOST_SHOWN:
        click.echo(f"… and {len(failing) - MOST_SHOWN} more orders", err=True)
    sys.exit(1 if failing else 0)


def _rebuild(projectors: Mapping[str, ReadModel[Any]], jobs: int, on_workers: bool) -> None:
    label = ", ".join(projectors)
    with RebuildPlan(sessions()) as plan:
        with reporting(label) as report:
            if on_workers:
                _on_workers(plan, list(projectors), report)
            elif jobs > 1:
                _in_processes(plan, list(projectors), jobs, report)
            _here(plan, projectors, report)
        done = plan.progress()
    click.echo(f"{label}: {done.done} events in {done.seconds:.1f} s, {done.rate:,.0f} events/s")


def _failing(projectors: Mapping[str, ReadModel[Any]]) -> list[tuple[str, str]]:
    """(projector, order id) of each order that is shown only in part."""
    with sessions().begin() as session:
        for name, projector in projectors.items():
            forget_overcome(session, name, projector)
        return failing_orders(session, list(projectors))


def _here(plan: RebuildPlan, projectors: Mapping[str, ReadModel[Any]], report: Report) -> None:
    """What nobody else has done. A range that a process held which was killed is free a moment later."""
    take_range = partial(rebuild_next_range, sessions(), plan.id, projectors, patience())
    progress = plan.progress()
    with _little_garbage_collection(), second_thread(take_range) as helping:
        while progress.ranges_left:
            if not take_range():
                pause(helping, LOOK_SECONDS)
            progress = plan.progress()
            report(progress)
    helping.result()


def _in_processes(plan: RebuildPlan, names: Sequence[str], jobs: int, report: Report) -> None:
    """What a process leaves that dies is left to others."""
    spawn = multiprocessing.get_context("spawn")
    what = (current_app.config["DATABASE_URL"], plan.id, names, patience())
    processes = [spawn.Process(target=work_off, args=what, daemon=True) for _ in range(jobs)]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        time.sleep(LOOK_SECONDS)
        report(plan.progress())


def work_off(database_url: str, rebuild_id: str, names: Sequence[str], patience: Patience) -> None:
    """Take ranges until none is left to take, or the process that started this one has died or ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    starter, own_sessions = multiprocessing.parent_process(), session_factory(database_url)
    with (
        _little_garbage_collection(),
        suppress(DBAPIError, psycopg.Error),
    ):  # the starter meets the same fault, and says so
        while (
            starter
            and starter.is_alive()
            and rebuild_next_range(own_sessions, rebuild_id, chosen(names).models, patience)
        ):
            pass


@contextmanager
def _little_garbage_collection() -> Iterator[None]:
    """Looking for garbage in all that is imported, and in a range's events again and again, would cost a quarter."""
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(EVENTS_PER_RANGE * 20)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def _on_workers(plan: RebuildPlan, names: Sequence[str], report: Report) -> None:
    """A task per range; tasks that were lost are sent again when nothing moves any more."""
    progress, moved = plan.progress(), time.monotonic()
    ask_for_ranges(plan.id, names, progress.ranges_left)
    while progress.ranges_left:
        time.sleep(LOOK_SECONDS)
        before, progress = progress, plan.progress()
        report(progress)
        if progress.ranges_left < before.ranges_left:
            moved = time.monotonic()
        elif time.monotonic() - moved > STANDSTILL_SECONDS:
            click.echo(f"No range was finished for {STANDSTILL_SECONDS:g} s; do workers of this release run?", err=True)
            ask_for_ranges(plan.id, names, progress.ranges_left - ranges_waiting())
            moved = time.monotonic()
