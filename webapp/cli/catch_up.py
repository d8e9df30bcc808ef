"""`flask catch-up`."""

import sys

import click
from flask.cli import with_appcontext

from core.projection.catch_up import catch_up
from core.read_models.wiring import PROJECTORS
from core.safe_errors import describe, trace
from webapp.cli.common import database_faults, echo, echo_lines, patience
from webapp.database import unhurried_sessions as sessions


@click.command("catch-up")
@with_appcontext
def catch_up_command() -> None:
    """Project the events whose task was lost or late.

    Beat does the same every few seconds."""
    failed = False
    for name, projector in PROJECTORS.items():
        try:
            with database_faults():
                result = catch_up(sessions(), name, projector, patience())
        except Exception as error:  # whatever it is, the other read models go on
            failed = True
            why = error.format_message() if isinstance(error, click.ClickException) else trace(error)
            echo_lines(f"{name}: {why}", err=True)
            continue
        echo(f"{name}: {result.events} events checked, {result.projected} orders brought up to date")
        for failure in result.failures.values():
            where = f"order {failure.order_id} stopped before version {failure.version}"
            echo(f"{name}: {where}: {describe(failure.error)}", err=True)
        failed = failed or bool(result.failures)
    sys.exit(1 if failed else 0)
