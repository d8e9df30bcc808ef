"""`flask events tail`: the log for a person to watch."""

import os
import select
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import click
from flask.cli import with_appcontext

from core.database import driver_connection
from core.event_sourcing import feed
from core.event_sourcing.cloud_events import cloud_event
from core.event_sourcing.codec import EVENT_TYPES, UnknownEventType
from core.event_sourcing.feed import Cursor, CursorOfAnotherLog, FeedEvent, FeedFilter, FeedPage
from core.orders.errors import InvalidValue
from core.orders.events import sentence
from core.safe_errors import DATABASE_ERRORS, escaped, is_transient
from webapp.cli.common import database_faults, echo
from webapp.database import unhurried_sessions as sessions

PAGE = 1000  # events
LOOK_SECONDS = 0.3
SINCE = "A time such as 2026-01-01T12:00, UTC unless it names its zone, or a cursor of the feed."
LAST = "Begin with so many events, without --since."


@click.command("tail")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--order", "order_id", metavar="ID", help="Of this order only.")
@click.option("--type", "types", type=click.Choice(EVENT_TYPES), multiple=True, help="May be repeated.")
@click.option("--since", metavar="TIME|CURSOR", help=SINCE)
@click.option("--last", type=click.IntRange(0), default=10, show_default=True, help=LAST)
@click.option("--json", "as_json", is_flag=True, help="A CloudEvent a line, with its cursor.")
@with_appcontext
def tail_command(
    follow: bool, order_id: str | None, types: tuple[str, ...], since: str | None, last: int, as_json: bool
) -> None:
    """Show events, a line each: time, order, version, what has happened, actor."""
    matching = FeedFilter(types=types, order_id=order_id)
    try:
        with database_faults():
            after, matching = _beginning(matching, since, last)
            for event in _events(after, matching, follow):
                if as_json:
                    echo(f'{cloud_event(event)[:-1]},"cursor":"{feed.encode(event.cursor)}"}}')
                else:
                    click.echo(_line(event))
    except (CursorOfAnotherLog, UnknownEventType) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it when it ends


def _beginning(matching: FeedFilter, since: str | None, last: int) -> tuple[Cursor, FeedFilter]:
    if since is None:
        with sessions().begin() as session:
            return feed.before_last(driver_connection(session), last, matching), matching
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        try:
            return feed.decode(since), matching
        except InvalidValue as error:
            raise click.BadParameter("neither a time nor a cursor", param_hint="--since") from error
    return feed.START, replace(matching, since=moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _events(after: Cursor, matching: FeedFilter, follow: bool) -> Iterator[FeedEvent]:
    """To the end of the log; or, if it follows, until nobody reads what it prints."""
    away = False
    while True:
        try:
            with sessions().begin() as session:
                page, away = feed.read_feed(driver_connection(session), after, PAGE, matching), False
        except DATABASE_ERRORS as error:
            if not follow or not is_transient(error):
                raise
            if not away:
                echo("The database is away; trying again.", err=True)
            page, away = FeedPage([], after, True), True
        yield from page.events
        after = page.next_cursor
        if page.at_end and (not follow or _reader_is_gone()):
            return


def _reader_is_gone() -> bool:
    """Looks for as long as one waits for the next events."""
    reader = select.poll()
    reader.register(sys.stdout, 0)  # errors are told in any case
    return bool(reader.poll(LOOK_SECONDS * 1000))


def _line(event: FeedEvent) -> str:
    try:
        told = sentence(event.recorded.event)
    except UnknownEventType as error:
        told = str(error)
    time = click.style(f"{event.occurred_at:%Y-%m-%d %H:%M:%S}", dim=True)
    order = click.style(f"{escaped(event.order_id)} {event.version}", fg="cyan")
    actor = str(event.metadata.get("actor", ""))
    by = click.style(f"  {escaped(actor)}", fg="green") if actor else ""
    return f"{time}  {order}  {escaped(told)}{by}"
