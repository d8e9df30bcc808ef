"""`flask events …`: the log at a terminal and in files."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click
from flask.cli import AppGroup

from core.event_sourcing.codec import UnknownEventType
from core.event_sourcing.transfer import MOST_FAULTS, FileRefused, NeedsDirectConnection, export_events, importing
from webapp.cli.common import database_faults, echo
from webapp.cli.progress import counting
from webapp.cli.tail import tail_command
from webapp.database import unhurried_sessions as sessions

events_group = AppGroup("events", help="The log of events.")
events_group.add_command(tail_command)


@events_group.command("export")
@click.argument("path", metavar="FILE")
def export_command(path: str) -> None:
    """Write all events to FILE, a line of JSON each; `-` is the standard output.

    The events are those of one moment, in the order in which followers read them. The service may keep running. FILE
    appears when it is whole; it holds personal data, so only you may read it."""
    with database_faults(), _whole_file(path) as file, sessions()() as session, counting("exported") as report:
        number = export_events(session, file, report)
    echo(f"{number} events exported", err=True)


@events_group.command("import")
@click.argument("path", metavar="FILE")
def import_command(path: str) -> None:
    """Append the events of FILE, an export or rows of the original Rails service; `-` is the standard input.

    The file is taken whole or, if a line is faulty, not at all. Events that the log has already are passed over, so a
    second run does no harm. The service may keep running."""
    try:
        with database_faults(), _opened(path) as file, importing(sessions().kw["bind"]) as incoming:
            with counting("read") as report:
                incoming.read(file, report)
            with counting("checked") as report:
                incoming.check(report)
            new = incoming.events - incoming.present
            echo(f"appending {new} events", err=True)
            incoming.append()
    except FileRefused as refused:
        for line, sentence in refused.faults:
            echo(f"line {line}: {sentence}", err=True)
        more = "; there may be more" if len(refused.faults) == MOST_FAULTS else ""
        raise click.ClickException(f"Nothing was imported. Faults: {len(refused.faults)}{more}.") from refused
    except NeedsDirectConnection as error:
        raise click.ClickException(str(error)) from error
    except UnknownEventType as error:
        raise click.ClickException(f"Nothing was imported. An order of the file goes on in the log: {error}") from error
    echo(f"{new} events imported, {incoming.present} were there already")
    if new:
        echo(
            "Catch-up brings them into the read models; `flask status` says how far it is. `flask rebuild` is quicker."
        )


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdin.buffer
        return
    with _file_faults(path), Path(path).open("rb") as file:
        yield file


@contextmanager
def _whole_file(path: str) -> Iterator[IO[bytes]]:
    """A file that takes this name when the block has ended well; a pipe or a device is written to as it is."""
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(path).resolve()
    with _file_faults(path):
        if target.exists() and not target.is_file():
            with target.open("wb") as device:
                yield device
            return
        part = target.with_name(f".{target.name}.{os.getpid()}")
        try:  # begun before the file is there, so that Ctrl-C never leaves one
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _file_faults(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
