"""The `flask` commands of the service."""

import sys
import time

import click
from flask import Flask
from flask.cli import with_appcontext
from sqlalchemy.exc import DBAPIError, OperationalError

from core.event_sourcing.codec import UnknownEventType
from core.read_models.catch_up import catch_up
from core.read_models.header import BrokenStream
from core.read_models.rebuild import rebuild
from core.read_models.wiring import PROJECTORS
from webapp.database import sessions
from webapp.progress import reporting


def init_app(app: Flask) -> None:
    app.cli.add_command(rebuild_command)
    app.cli.add_command(catch_up_command)


@click.command("rebuild")
@click.argument("names", nargs=-1, type=click.Choice(list(PROJECTORS)), metavar="[summary|details]...")
@with_appcontext
def rebuild_command(names: tuple[str, ...]) -> None:
    """Make read models again from the events.

    Without a name, all of them. The service may keep running: readers see each order before or after, never a
    partial list."""
    for name in names or PROJECTORS:
        started = time.monotonic()
        try:
            with reporting(name) as report:
                orders, removed = rebuild(sessions(), PROJECTORS[name], report)
        except OperationalError as error:
            raise click.ClickException(f"The database went away; run the command again. ({error.orig})") from error
        except (BrokenStream, UnknownEventType) as error:
            raise click.ClickException(f"The {name} read model was rebuilt only in part. {error}") from error
        seconds = time.monotonic() - started
        strays = f", {removed} rows without events removed" if removed else ""
        click.echo(f"{name}: {orders} orders rebuilt in {seconds:.1f} s{strays}")


@click.command("catch-up")
@with_appcontext
def catch_up_command() -> None:
    """Project the events whose task was lost or late.

    Beat does the same every few seconds."""
    failed = False
    for name, projector in PROJECTORS.items():
        try:
            result = catch_up(sessions(), name, projector)
        except DBAPIError as error:
            raise click.ClickException(f"The database went away; run the command again. ({error.orig})") from error
        click.echo(f"{name}: {result.events} events checked, {result.projected} orders brought up to date")
        for order_id in sorted(result.failed):
            click.echo(f"{name}: order {order_id} could not be projected; the log says why", err=True)
        failed = failed or bool(result.failed)
    sys.exit(1 if failed else 0)
