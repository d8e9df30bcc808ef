"""`flask webhooks …`: endpoints, and what they have still to get."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from core.webhooks import endpoints
from core.webhooks.endpoints import Webhook, WebhookNotFound
from webapp.cli.common import database_faults, echo, echo_json
from webapp.database import unhurried_sessions as sessions

webhooks_group = AppGroup("webhooks", help="The endpoints of other services, and what they have still to get.")
webhook_argument = click.argument("webhook_id", metavar="ID")


@webhooks_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON array instead of lines.")
def list_webhooks(as_json: bool) -> None:
    """List the endpoints, without their secrets."""
    with _database() as session:
        found = endpoints.list_webhooks(session)
    if as_json:
        echo_json(found)
        return
    for webhook in found:
        echo(_line(webhook))
    if not found:
        echo("There is no webhook.")


@webhooks_group.command("show")
@webhook_argument
def show_webhook(webhook_id: str) -> None:
    """Show an endpoint, the orders that it does not take, and its last attempts."""
    with _database() as session:
        webhook = endpoints.find(session, webhook_id)
        failing = endpoints.failing_orders(session, webhook_id, limit=20)
        attempts = endpoints.deliveries(session, webhook_id, before=None, limit=10)
    echo(_line(webhook))
    echo(f"Types: {', '.join(webhook['types']) or 'all'}. {webhook['description']}".rstrip())
    for order in failing:
        when = f"next attempt {order['next_attempt_at']}" if order["next_attempt_at"] else "parked"
        echo(f"order {order['order_id']} waits at version {order['next_version']}, {when}: {order['error']}")
    for attempt in attempts:
        took = f"{attempt['attempted_at']} ({attempt['duration_ms']} ms)"
        told = attempt["error"] or attempt["status"]
        echo(f"{took} order {attempt['order_id']} version {attempt['version']}: {told}")


@webhooks_group.command("retry")
@webhook_argument
def retry(webhook_id: str) -> None:
    """Send what is parked or failing now."""
    with _database() as session:
        orders = endpoints.retry(session, webhook_id)
    echo(f"Orders that are tried again: {orders}")


@contextmanager
def _database() -> Iterator[Session]:
    try:
        with database_faults(), sessions().begin() as session:
            yield session
    except WebhookNotFound as error:
        raise click.ClickException("There is no such webhook; `flask webhooks list` has the ids.") from error


def _line(webhook: Webhook) -> str:
    because = f", because {webhook['disabled_because']}" if webhook["disabled_because"] else ""
    state = "enabled" if webhook["enabled"] else f"disabled{because}"
    counted = f"{webhook['waiting']} orders wait, {webhook['failing']} fail, {webhook['parked']} are parked"
    return f"{webhook['id']}  {webhook['url']}: {state}; {counted}"
