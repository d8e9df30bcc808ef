"""`flask status`."""

from dataclasses import asdict

import click
from flask.cli import with_appcontext

from core.projection.status import ProjectorStatus, status
from core.read_models.wiring import PROJECTORS
from core.webhooks import endpoints
from webapp.cli.common import database_faults, echo, echo_json
from webapp.database import unhurried_sessions as sessions


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="A JSON object instead of lines.")
@with_appcontext
def status_command(as_json: bool) -> None:
    """Say how far each projector is behind the log, and which webhooks have parked orders."""
    with database_faults(), sessions().begin() as session:
        found, parked = status(session, PROJECTORS), endpoints.parked(session)
    if as_json:
        echo_json({**asdict(found), "parked_by_webhook": parked})
        return
    echo(f"last position: {found.last_position} (epoch {found.epoch})")
    for holder in found.held_back_by:
        echo(f"catch-up is held back by {holder}")
    for name, projector in found.projectors.items():
        echo(f"{name}: {_line(projector)}")
    for webhook_id, orders in parked.items():
        echo(endpoints.parked_line(webhook_id, orders))


def _line(projector: ProjectorStatus) -> str:
    seconds = projector.seconds_since_catch_up
    caught_up = "no catch-up yet" if seconds is None else f"catch-up {seconds:.0f} s ago"
    return (
        f"checkpoint {projector.checkpoint}, {projector.events_behind} events behind"
        f" ({projector.seconds_behind:.1f} s), {projector.parked_orders} orders parked,"
        f" {projector.retrying_orders} being tried again, {caught_up}"
    )
