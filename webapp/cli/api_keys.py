"""`flask api-keys …`: who may use the API."""

from dataclasses import asdict
from datetime import timedelta

import click
from flask.cli import AppGroup

from core import api_keys
from core.api_keys import ApiKey, Scope, UnknownKey, UnusableName
from core.command_handler import utc_now
from webapp.cli.common import database_faults, echo, echo_json
from webapp.database import owner_sessions as sessions

SCOPE = click.Choice([scope.value for scope in Scope])

api_keys_group = AppGroup("api-keys", help="The keys that open the API.")


@api_keys_group.command("create")
@click.argument("name")
@click.option("--scope", "scopes", type=SCOPE, multiple=True, required=True, help="May be repeated.")
@click.option("--expires-in-days", "days", type=click.IntRange(1, 36500), help="Without it, valid until revoked.")
def create_key(name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a key and show it, once. NAME is the actor of the events that it brings about."""
    now = utc_now()
    expires_at = now + timedelta(days=days) if days else None
    try:
        with database_faults(), sessions().begin() as session:
            created = api_keys.create(session, name, {Scope(scope) for scope in scopes}, now=now, expires_at=expires_at)
    except UnusableName as error:
        raise click.ClickException(str(error)) from error
    echo(created.text)
    echo(f"This is key {created.key.id}. It is shown only now; keep it like a password.", err=True)


@api_keys_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON array instead of lines.")
def list_keys(as_json: bool) -> None:
    """List the keys, without their secrets."""
    with database_faults(), sessions().begin() as session:
        keys = api_keys.list_keys(session)
    if as_json:
        echo_json([{**asdict(key), "scopes": sorted(key.scopes)} for key in keys])
        return
    for key in keys:
        echo(f"{key.id}  {key.name}: {', '.join(sorted(key.scopes))}; {_validity(key)}")
    if not keys:
        echo("There is no key.")


@api_keys_group.command("revoke")
@click.argument("key_id", metavar="ID")
def revoke_key(key_id: str) -> None:
    """End a key for good; every process refuses it within a second."""
    try:
        with database_faults(), sessions().begin() as session:
            key = api_keys.revoke(session, key_id, now=utc_now())
    except UnknownKey as error:
        raise click.ClickException(f"There is no key {key_id}; `flask api-keys list` has the ids.") from error
    echo(f"Key {key.id} of {key.name} is revoked.")


def _validity(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d %H:%M} UTC"
    if key.expires_at is None:
        return "does not expire"
    return f"{'expired' if key.expires_at <= utc_now() else 'expires'} {key.expires_at:%Y-%m-%d %H:%M} UTC"
