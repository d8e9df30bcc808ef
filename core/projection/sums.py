"""Sums over orders: read by key, folded by catch-up, made again and compared with the rows that they count."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from core.projection.read_model import Sums

FEW = 100  # changes that are not worth folding

LOCK = "hashtext('orderlog.sums'), hashtext(:name)"
TRY_TO_BE_ALONE = text(f"SELECT pg_try_advisory_xact_lock({LOCK})")
BE_ALONE = text(f"SELECT pg_advisory_xact_lock({LOCK})")


def by_key(session: Session, sums: Sums) -> Mapping[tuple[Any, ...], Row[Any]]:
    """Every key with its sums, folded or not; those that are all 0 are left out."""
    return _by_key(sums, session.execute(_statements(sums)["read"]).all())


def counted(session: Session, sums: Sums) -> Mapping[tuple[Any, ...], Row[Any]]:
    """What the rows add up to, in the same form."""
    return _by_key(sums, session.execute(text(sums.select.format(rows=sums.of.name))).all())


def fold(session: Session, sums: Sums) -> None:
    """Add up the changes noted so far, if they are many. Does nothing while another is at it."""
    statements = _statements(sums)
    if (
        session.execute(statements["many"], {"few": FEW}).scalar()
        and session.execute(TRY_TO_BE_ALONE, {"name": sums.table.name}).scalar()
    ):
        session.execute(statements["fold"])


def recount(session: Session, sums: Sums) -> None:
    """Set them to what the rows add up to, while rows change. To be the first in its transaction.

    One statement counts, hence one moment: changes of transactions that it does not see stay, as it does not count
    their rows. Others' folding has to stand still, or changes that it has moved would be counted again."""
    session.execute(BE_ALONE, {"name": sums.table.name})
    columns = ", ".join([*sums.key, *sums.counted])
    session.execute(
        text(f"""
            WITH old AS (DELETE FROM {sums.table.name})
            INSERT INTO {sums.table.name} ({columns}, folded)
            SELECT {columns}, false FROM ({sums.select.format(rows=sums.of.name)}) AS counted
        """)
    )
    session.execute(_statements(sums)["fold"])


def _by_key(sums: Sums, rows: Any) -> Mapping[tuple[Any, ...], Row[Any]]:
    return {tuple(row[: len(sums.key)]): row for row in rows}


@cache
def _statements(sums: Sums) -> Mapping[str, TextClause]:
    key, names = ", ".join(sums.key), ", ".join(sums.counted)
    added = ", ".join(f"CAST(sum({name}) AS {sums.table.c[name].type}) AS {name}" for name in sums.counted)
    more = ", ".join(f"{name} = stored.{name} + excluded.{name}" for name in sums.counted)
    not_zero = " OR ".join(f"sum({name}) <> 0" for name in sums.counted)
    return {
        "read": text(f"SELECT {key}, {added} FROM {sums.table.name} GROUP BY {key} HAVING {not_zero} ORDER BY {key}"),
        "many": text(f"SELECT true FROM {sums.table.name} WHERE NOT folded OFFSET :few LIMIT 1"),
        "fold": text(f"""
            WITH changes AS (DELETE FROM {sums.table.name} WHERE NOT folded RETURNING *)
            INSERT INTO {sums.table.name} AS stored ({key}, {names}, folded)
            SELECT {key}, {added}, true FROM changes GROUP BY {key} HAVING {not_zero}
            ON CONFLICT ({key}) WHERE folded DO UPDATE SET {more}
        """),
    }
