"""`flask parked …`: orders that a projector cannot bring further."""

import sys
from collections.abc import Sequence
from dataclasses import asdict

import click
from flask.cli import AppGroup

from core.read_models.parking import ParkedOrder, parked_orders, retry_parked
from core.read_models.wiring import PROJECTORS
from webapp.cli.common import database_faults, echo_json, patience
from webapp.database import sessions

parked_group = AppGroup("parked", help="Orders whose next event a projector cannot apply.")


@parked_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON array instead of lines.")
def list_parked(as_json: bool) -> None:
    """List the parked orders."""
    orders = _parked(None)
    if as_json:
        echo_json([asdict(order) for order in orders])
    elif not orders:
        click.echo("No order is parked.")
    else:
        for order in orders:
            where = f"{order.order_id} version {order.version}"
            click.echo(f"{order.projector}: {where}, {order.attempts} attempts: {order.error.splitlines()[0]}")


@parked_group.command("show")
@click.argument("order_id", metavar="ORDER")
def show_parked(order_id: str) -> None:
    """Show why an order is parked, with the traceback."""
    orders = _parked(order_id)
    if not orders:
        raise click.ClickException(f"Order {order_id} is not parked.")
    for order in orders:
        click.echo(f"{order.projector} cannot apply version {order.version} of {order.order_id}.")
        click.echo(f"Attempts: {order.attempts}, from {order.first_failed_at} to {order.last_failed_at}")
        click.echo(f"\n{order.traceback}")


@parked_group.command("retry")
@click.argument("order_id", metavar="[ORDER]", required=False)
@click.option("--all", "every", is_flag=True, help="Every parked order.")
def retry(order_id: str | None, every: bool) -> None:
    """Try a parked order again, or all of them; exit status 1 if one stays parked."""
    if (order_id is None) == (not every):
        raise click.UsageError("Name one order, or give --all.")
    orders = _parked(order_id)
    if order_id is not None and not orders:
        raise click.ClickException(f"Order {order_id} is not parked.")
    parked_still = 0
    for name in PROJECTORS:
        chosen = [order.order_id for order in orders if order.projector == name]
        if chosen:
            parked_still += _retry(name, chosen)
    if not orders:
        click.echo("No order is parked.")
    sys.exit(1 if parked_still else 0)


def _retry(name: str, order_ids: Sequence[str]) -> int:
    """How many stay parked."""
    with database_faults():
        projected = retry_parked(sessions(), name, PROJECTORS[name], order_ids, patience())
    for order_id in order_ids:
        if order_id in projected.failures:
            failure = projected.failures[order_id]
            click.echo(f"{name}: {order_id} stays parked before version {failure.version}: {failure.error}", err=True)
        else:
            click.echo(f"{name}: {order_id} is projected to version {projected.versions[order_id]}")
    return len(projected.failures)


def _parked(order_id: str | None) -> list[ParkedOrder]:
    with database_faults(), sessions().begin() as session:
        return parked_orders(session, list(PROJECTORS), order_id)
