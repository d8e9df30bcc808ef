"""Sums over orders: read by key, folded by catch-up, made again and compared with the rows that they count."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from core.projection.read_model import Sums

FEW = 100  # changes that are not worth folding
MOST_KEYS = 100  # that differ

LOCK = "hashtext('orderlog.sums'), hashtext(:name)"
TRY_TO_BE_ALONE = text(f"SELECT pg_try_advisory_xact_lock({LOCK})")
BE_ALONE = text(f"SELECT pg_advisory_xact_lock({LOCK})")


def by_key(session: Session, sums: Sums) -> Mapping[tuple[Any, ...], Row[Any]]:
    """Every key with its sums, folded or not; those that are all 0 are left out."""
    rows = session.execute(_statements(sums)["read"])
    return {tuple(row[: len(sums.key)]): row for row in rows}


def since(session: Session, sums: Sums, first: object) -> Sequence[Row[Any]]:
    """The keys from this one on, in their order, with their sums; those that are all 0 are left out.

    For sums by one column. Costs what there is from there on, however many keys lie before."""
    return session.execute(_statements(sums)["since"], {"first": first}).all()


def largest(session: Session, sums: Sums, column: str, number: int) -> Sequence[Row[Any]]:
    """So many keys with the largest sums in this column, largest first.

    Costs the same for few keys and for many if `indexes` has one of the column and the key where folded."""
    key, names = ", ".join(sums.key), ", ".join(sums.counted)
    order = ", ".join(f"{name} DESC" for name in (column, *sums.key))
    # The changes since the last fold are few: the largest are among those keys, and the largest of the others.
    statement = text(f"""
        WITH changes AS (SELECT {key}, {names} FROM {sums.table.name} WHERE NOT folded)
        SELECT {key}, {_added(sums)} FROM (
            SELECT * FROM changes
            UNION ALL
            SELECT {key}, {names} FROM {sums.table.name} WHERE folded AND ({key}) IN (SELECT {key} FROM changes)
            UNION ALL
            (SELECT {key}, {names} FROM {sums.table.name} WHERE folded AND ({key}) NOT IN (SELECT {key} FROM changes)
             ORDER BY {order} LIMIT :number)
        ) AS candidates
        GROUP BY {key} HAVING {_not_zero(sums)} ORDER BY {order} LIMIT :number
    """)
    return session.execute(statement, {"number": number}).all()


def differing(session: Session, sums: Sums) -> Sequence[Row[Any]]:
    """The first MOST_KEYS keys whose sums are not what the rows add up to: key, what is stored, what they add up to.

    Compared by the database, since there may be as many keys as customers. What is not there counts as 0."""
    return session.execute(_statements(sums)["compare"], {"most": MOST_KEYS}).all()


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


@cache
def _statements(sums: Sums) -> Mapping[str, TextClause]:
    key, names, added, not_zero = ", ".join(sums.key), ", ".join(sums.counted), _added(sums), _not_zero(sums)
    more = ", ".join(f"{name} = stored.{name} + excluded.{name}" for name in sums.counted)
    stored, counted = (
        ", ".join(f"coalesce({side}.{name}, 0)" for name in sums.counted) for side in ("stored", "counted")
    )
    read = f"SELECT {key}, {added} FROM {sums.table.name} GROUP BY {key} HAVING {not_zero}"
    return {
        "read": text(read),
        # Each of the two indexes has its own part of the table.
        "since": text(f"""
            SELECT {key}, {added} FROM (
                SELECT {key}, {names} FROM {sums.table.name} WHERE folded AND {sums.key[0]} >= :first
                UNION ALL
                SELECT {key}, {names} FROM {sums.table.name} WHERE NOT folded AND {sums.key[0]} >= :first
            ) AS later
            GROUP BY {key} HAVING {not_zero} ORDER BY {key}
        """),
        "many": text(f"SELECT true FROM {sums.table.name} WHERE NOT folded OFFSET :few LIMIT 1"),
        "fold": text(f"""
            WITH changes AS (DELETE FROM {sums.table.name} WHERE NOT folded RETURNING *)
            INSERT INTO {sums.table.name} AS stored ({key}, {names}, folded)
            SELECT {key}, {added}, true FROM changes GROUP BY {key} HAVING {not_zero}
            ON CONFLICT ({key}) WHERE folded DO UPDATE SET {more}
        """),
        "compare": text(f"""
            SELECT {key}, {stored}, {counted}
            FROM ({read}) AS stored FULL JOIN ({sums.select.format(rows=sums.of.name)}) AS counted USING ({key})
            WHERE ({stored}) <> ({counted}) ORDER BY {key} LIMIT :most
        """),
    }


def _added(sums: Sums) -> str:
    return ", ".join(f"CAST(sum({name}) AS {sums.table.c[name].type}) AS {name}" for name in sums.counted)


def _not_zero(sums: Sums) -> str:
    return " OR ".join(f"sum({name}) <> 0" for name in sums.counted)
