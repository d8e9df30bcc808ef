"""The `flask` commands of the service."""

from flask import Flask

from webapp.cli.api_keys import api_keys_group
from webapp.cli.catch_up import catch_up_command
from webapp.cli.events import events_group
from webapp.cli.parked import parked_group
from webapp.cli.rebuild import rebuild_command
from webapp.cli.status import status_command
from webapp.cli.verify import verify_command
from webapp.cli.webhooks import webhooks_group

COMMANDS = (
    api_keys_group,
    catch_up_command,
    events_group,
    parked_group,
    rebuild_command,
    status_command,
    verify_command,
    webhooks_group,
)


def init_app(app: Flask) -> None:
    for command in COMMANDS:
        app.cli.add_command(command)
