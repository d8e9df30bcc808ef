"""What the commands share: read models by name, patience with the database, and JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import click
from flask import current_app
from psycopg.errors import (
    InsufficientPrivilege,
    ReadOnlySqlTransaction,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedTable,
)

from core.database import UnusableDatabase
from core.projection.read_model import ReadModel, Sums
from core.read_models.wiring import PROJECTORS, SUMS
from core.safe_errors import DATABASE_ERRORS, describe, escaped, original
from core.settings import Patience

READ_MODEL = click.Choice([*PROJECTORS, *SUMS])
names_argument = click.argument("names", nargs=-1, type=READ_MODEL, metavar="[NAME]...")

ADVICE: Mapping[type[BaseException], str] = {
    UndefinedTable: "is not migrated; run `flask db upgrade`",
    UndefinedColumn: "is not migrated; run `flask db upgrade`",
    UndefinedFunction: "is not migrated; run `flask db upgrade`",
    InsufficientPrivilege: "refuses this to its role; set DATABASE_OWNER_URL, or run migrations/roles.sql",
    ReadOnlySqlTransaction: "takes no changes; set DATABASE_URL to the primary",
}


class Chosen(NamedTuple):
    """Read models with rows per order, and sums over orders, by name."""

    models: Mapping[str, ReadModel[Any]]
    sums: Mapping[str, Sums]


def chosen(names: Sequence[str]) -> Chosen:
    """Those of these names, with the sums over their rows; all of them without a name."""
    models = {name: model for name, model in PROJECTORS.items() if name in names or not names}
    of_models = [sums for model in models.values() for sums in model.sums]
    return Chosen(models, {name: sums for name, sums in SUMS.items() if name in names or sums in of_models})


def patience() -> Patience:
    configured: Patience = current_app.config["PATIENCE"]
    return configured


@contextmanager
def database_faults() -> Iterator[None]:
    """A database that fails is one clear sentence and exit status 1."""
    try:
        yield
    except DATABASE_ERRORS as error:
        if isinstance(original(error), UnusableDatabase):
            raise click.ClickException(str(original(error))) from error
        advice = ADVICE.get(type(original(error)), "failed; run the command again")
        raise click.ClickException(f"The database {advice}. ({describe(error)})") from error


def echo(text: str, *, err: bool = False) -> None:
    """One line, whatever is in it: see `escaped`."""
    click.echo(escaped(text), err=err)


def echo_lines(text: str, *, err: bool = False) -> None:
    for line in text.split("\n"):
        echo(line, err=err)


def echo_json(value: object) -> None:
    echo_lines(json.dumps(value, ensure_ascii=False, indent=2, default=_text))


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
