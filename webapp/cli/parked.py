"""`flask parked …`: orders that a projector cannot bring further."""

import sys
from dataclasses import asdict

import click
from flask.cli import AppGroup

from core.projection.parking import FailingOrder, failures_of, parked_orders, retry_now
from core.read_models.wiring import PROJECTORS
from core.safe_errors import describe
from webapp.cli.common import database_faults, echo, echo_json, echo_lines, patience
from webapp.database import unhurried_sessions as sessions

parked_group = AppGroup("parked", help="Orders whose next event a projector cannot apply.")


@parked_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON array instead of lines.")
def list_parked(as_json: bool) -> None:
    """List the parked orders."""
    orders = _parked()
    if as_json:
        echo_json([asdict(order) for order in orders])
        return
    for order in orders:
        where = f"{order.projector}: {order.order_id} version {order.version}"
        echo(f"{where}, attempts: {order.attempts}: {order.error.splitlines()[0]}")
    if not orders:
        echo("No order is parked.")


@parked_group.command("show")
@click.argument("order_id", metavar="ORDER")
def show_parked(order_id: str) -> None:
    """Show why an order is parked or being tried again, with the traceback."""
    for order in _failures_of(order_id):
        echo(f"{order.projector} cannot apply version {order.version} of {order.order_id}.")
        echo(f"Attempts: {order.attempts}, from {order.first_failed_at} to {order.last_failed_at}")
        echo("Parked" if order.next_attempt_at is None else f"Next attempt: {order.next_attempt_at}")
        echo_lines(f"\n{order.traceback}")


@parked_group.command("retry")
@click.argument("order_id", metavar="[ORDER]", required=False)
@click.option("--all", "every", is_flag=True, help="Every parked order.")
def retry(order_id: str | None, every: bool) -> None:
    """Try an order again now, or all parked ones; exit status 1 if one fails again."""
    if (order_id is None) == (not every):
        raise click.UsageError("Name one order, or give --all.")
    orders = _parked() if order_id is None else _failures_of(order_id)
    failed = False
    for name, projector in PROJECTORS.items():
        order_ids = [order.order_id for order in orders if order.projector == name]
        with database_faults():
            projected = retry_now(sessions(), name, projector, order_ids, patience())
        for order_id in order_ids:
            if failure := projected.failures.get(order_id):
                why = describe(failure.error)
                echo(f"{name}: {order_id} stops before version {failure.version}: {why}", err=True)
            else:
                echo(f"{name}: {order_id} is projected to version {projected.versions[order_id]}")
        failed = failed or bool(projected.failures)
    if not orders:
        echo("No order is parked.")
    sys.exit(1 if failed else 0)


def _parked() -> list[FailingOrder]:
    with database_faults(), sessions().begin() as session:
        return parked_orders(session, list(PROJECTORS))


def _failures_of(order_id: str) -> list[FailingOrder]:
    """Raises ClickException if there are none."""
    with database_faults(), sessions().begin() as session:
        found = failures_of(session, list(PROJECTORS), order_id)
    if not found:
        raise click.ClickException(f"Order {order_id} is not parked.")
    return found
