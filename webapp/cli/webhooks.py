"""`flask webhooks …`: endpoints, and what they have still to get."""

from dataclasses import asdict

import click
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from core.webhooks import endpoints
from core.webhooks.endpoints import Webhook, WebhookNotFound
from webapp.cli.common import database_faults, echo, echo_json
from webapp.database import unhurried_sessions as sessions

webhooks_group = AppGroup("webhooks", help="The endpoints of other services, and what they have still to get.")


@webhooks_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON array instead of lines.")
def list_webhooks(as_json: bool) -> None:
    """List the endpoints, without their secrets."""
    with database_faults(), sessions().begin() as session:
        found = [(webhook, endpoints.waiting(session, webhook.id)) for webhook in endpoints.list_webhooks(session)]
    if as_json:
        echo_json([{**asdict(webhook), **waiting} for webhook, waiting in found])
        return
    for webhook, waiting in found:
        echo(f"{webhook.id}  {webhook.url}: {_state(webhook)}; {_counted(waiting)}")
    if not found:
        echo("There is no webhook.")


@webhooks_group.command("show")
@click.argument("webhook_id", metavar="ID")
def show_webhook(webhook_id: str) -> None:
    """Show an endpoint, its last attempts, and the orders that it does not take."""
    with database_faults(), sessions().begin() as session:
        webhook = _find(session, webhook_id)
        waiting = endpoints.waiting(session, webhook_id)
        attempts = endpoints.deliveries(session, webhook_id, before=None, limit=10)
        failing = endpoints.failing(session, webhook_id)
    echo(f"{webhook.url}: {_state(webhook)}; {_counted(waiting)}")
    echo(f"Types: {', '.join(webhook.types) or 'all'}. {webhook.description}".rstrip())
    for order in failing:
        when = f"next attempt {order.next_attempt_at}" if order.next_attempt_at else "parked"
        echo(f"order {order.order_id} waits at version {order.next_version}, {when}: {order.error}")
    for attempt in attempts:
        told = attempt.error or attempt.status
        took = f"{attempt.attempted_at} ({attempt.duration_ms} ms)"
        echo(f"{took} order {attempt.order_id} version {attempt.version}: {told}")


@webhooks_group.command("retry")
@click.argument("webhook_id", metavar="ID")
def retry(webhook_id: str) -> None:
    """Send what is parked or failing now."""
    with database_faults(), sessions().begin() as session:
        _find(session, webhook_id)
        orders = endpoints.retry(session, webhook_id)
    echo(f"Orders that are tried again: {orders}")


def _find(session: Session, webhook_id: str) -> Webhook:
    try:
        return endpoints.find(session, webhook_id)
    except WebhookNotFound as error:
        raise click.ClickException(f"There is no webhook {webhook_id}; `flask webhooks list` has the ids.") from error


def _state(webhook: Webhook) -> str:
    if webhook.enabled:
        return "enabled"
    return f"disabled, because {webhook.disabled_because}" if webhook.disabled_because else "disabled"


def _counted(waiting: dict[str, int]) -> str:
    return f"{waiting['waiting']} orders wait, {waiting['failing']} fail, {waiting['parked']} are parked"
