"""`flask rebuild`."""

import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import click
from flask.cli import with_appcontext
from kombu.exceptions import OperationalError as BrokerError

from core.database import session_factory
from core.read_models.parking import failing_orders
from core.read_models.rebuild import Rebuild, rebuild_next_range
from core.read_models.verify import steps
from core.settings import Patience, Settings
from webapp.cli.common import chosen, database_faults, names_argument, patience
from webapp.cli.verify import compare
from webapp.database import unhurried_sessions as sessions
from webapp.progress import Report, reporting
from worker.tasks import rebuild_range

# Ranges on the workers: how often to look how far they are, and after what standstill to ask for what is left again.
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
    projectors = chosen(names)
    with database_faults():
        if dry_run:
            compare(projectors, steps(sessions())).echo()
            return
        plan = Rebuild(sessions())
        label = ", ".join(projectors)
        try:
            with reporting(label) as report:
                if on_workers:
                    _on_workers(plan, list(projectors), report)
                elif jobs > 1:
                    _in_processes(plan, list(projectors), jobs, report)
                else:
                    while rebuild_next_range(sessions(), plan.id, projectors, patience()):
                        report(plan.progress())
            done = plan.progress()
        finally:
            plan.finish()
        with sessions().begin() as session:
            failing = failing_orders(session, list(projectors))
    click.echo(f"{label}: {done.done} events in {done.seconds:.1f} s, {done.rate:,.0f} events/s")
    for name, order_id in failing:
        click.echo(f"{name}: order {order_id} was rebuilt only in part; see `flask parked show {order_id}`", err=True)
    sys.exit(1 if failing else 0)


def _in_processes(plan: Rebuild, names: Sequence[str], jobs: int, report: Report) -> None:
    """What a process leaves that dies is done here in the end."""
    url = Settings.load().database_url
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as processes:
        helping = [processes.submit(work_off, url, plan.id, names, patience()) for _ in range(jobs)]
        while not all(each.done() for each in helping):
            time.sleep(LOOK_SECONDS)
            report(plan.progress())
    work_off(url, plan.id, names, patience())
    report(plan.progress())


def work_off(database_url: str, rebuild_id: str, names: Sequence[str], patience: Patience) -> None:
    """Take ranges until none is left to take."""
    own_sessions = session_factory(database_url)
    while rebuild_next_range(own_sessions, rebuild_id, chosen(names), patience):
        pass


def _on_workers(plan: Rebuild, names: Sequence[str], report: Report) -> None:
    """A task per range; tasks that were lost are sent again when nothing moves any more."""
    progress = plan.progress()
    while progress.ranges_left:
        _ask_workers(plan.id, names, progress.ranges_left)
        left, since = progress.ranges_left, time.monotonic()
        while left and time.monotonic() - since < STANDSTILL_SECONDS:
            time.sleep(LOOK_SECONDS)
            progress = plan.progress()
            report(progress)
            if progress.ranges_left != left:
                left, since = progress.ranges_left, time.monotonic()
        if left:
            click.echo(f"No range was finished for {STANDSTILL_SECONDS:.0f} s; asking the workers again.", err=True)


def _ask_workers(rebuild_id: str, names: Sequence[str], ranges: int) -> None:
    try:
        for _ in range(ranges):
            rebuild_range.apply_async((rebuild_id, list(names)), retry=False)
    except BrokerError as error:
        raise click.ClickException("The broker does not answer; try again, or without --on-workers.") from error
