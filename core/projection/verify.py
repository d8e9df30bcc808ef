"""Comparing read models, row by row and field by field, with what the events say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.streams import IdList, IdRange, Ids, read_streams
from core.event_sourcing.tables import events
from core.projection.project import Failure, fold_until_failures, read_rows, version_column
from core.projection.read_model import ReadModel, Sums, Values
from core.projection.sums import differing
from core.projection.writer import read_stored

ORDERS_PER_STEP = 1000
STRAY = ("row", "there is one", "none")

# Orders whose next event catch-up has passed, which only damage to the row explains.
PASSED_BY = text("""
    SELECT event.aggregate_id
    FROM unnest(CAST(:order_ids AS text[]), CAST(:versions AS integer[])) AS next (order_id, version)
    JOIN events AS event ON event.aggregate_id = next.order_id AND event.version = next.version
    JOIN projector_checkpoints AS checkpoint ON checkpoint.projector = :projector
    WHERE (event.epoch, event.transaction_id, event.position)
          <= (checkpoint.epoch, checkpoint.transaction_id, checkpoint.position)
      AND NOT EXISTS (SELECT FROM projection_failures AS failure
                      WHERE failure.projector = :projector AND failure.order_id = event.aggregate_id)
""")


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that does not hold what the events say, of an order or of a key of sums; `field` is "row" where a whole
    row is missing or too many."""

    name: str
    key: str
    field: str
    stored: object
    expected: object


@dataclass(slots=True)
class Verified:
    """What was compared. `behind` counts rows that are right but whose later events are still to be projected."""

    rows: int = 0
    behind: int = 0
    differences: list[Difference] = field(default_factory=list)
    broken: list[Failure] = field(default_factory=list)

    @property
    def drifted(self) -> dict[str, set[str]]:
        """The orders with differences, by projector."""
        found: dict[str, set[str]] = {}
        for difference in self.differences:
            found.setdefault(difference.name, set()).add(difference.key)
        return found


def verify(
    sessions: sessionmaker[Session], models: Mapping[str, ReadModel[Any]], ids: Ids, *, to_the_end: bool = False
) -> Verified:
    """Compare these orders' rows as they are at one moment, so that nothing needs to stand still.

    Each with the events up to the version it shows, or `to_the_end` with all there are, as a rebuild would make it."""
    with sessions.begin() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        streams, broken = _whole_streams(session, ids)
        result = Verified(broken=broken)
        for name, model in models.items():
            stray = set[str]().union(*(_ids_in(session, table, ids) for table in model.tables)) - streams.keys()
            result.differences += [Difference(name, order_id, *STRAY) for order_id in sorted(stray)]
            rows = read_stored(driver_connection(session), model, list(streams))
            result.rows += len(rows)
            shown = {order_id: _version(model, rows.get(order_id)) for order_id in streams}
            waiting = {order_id: version for order_id, version in shown.items() if version < len(streams[order_id])}
            passed_by = _passed_by(session, name, waiting)
            for order_id, stream in streams.items():
                stored, version = rows.get(order_id), shown[order_id]
                found = _differences(model, stored, stream if to_the_end else stream[:version])
                if not found and order_id in passed_by:
                    found = _differences(model, stored, stream) or [("version", version, len(stream))]
                elif not found and order_id in waiting:
                    result.behind += 1
                result.differences += [Difference(name, order_id, *each) for each in found]
    return result


def verify_sums(sessions: sessionmaker[Session], sums: Mapping[str, Sums]) -> list[Difference]:
    """Compare sums with what the rows that they count add up to; up to MOST_KEYS keys of each that differ."""
    found = []
    for name, each in sums.items():
        with sessions.begin() as session:
            rows = differing(session, each)
        for row in rows:
            key = ", ".join(map(str, row[: len(each.key)]))
            stored, counted = row[len(each.key) : -len(each.counted)], row[-len(each.counted) :]
            for column, left, right in zip(each.counted, stored, counted, strict=True):
                if left != right:
                    found.append(Difference(name, key, column, left, right))
    return found


def steps(sessions: sessionmaker[Session]) -> Iterator[IdRange]:
    """Ranges that together hold every id, with about a thousand orders each."""
    first = ""
    while True:
        later = select(events.c.aggregate_id).where(events.c.version == 1, events.c.aggregate_id > first)
        with sessions.begin() as session:
            query = later.order_by(events.c.aggregate_id).offset(ORDERS_PER_STEP).limit(1)
            following = session.execute(query).scalar()
        yield IdRange(first, following)
        if following is None:
            return
        first = following


def sample(sessions: sessionmaker[Session], number: int) -> IdList:
    """So many orders, picked at random."""
    query = select(events.c.aggregate_id).where(events.c.version == 1).order_by(func.random()).limit(number)
    with sessions.begin() as session:
        return IdList(sorted(session.execute(query).scalars()))


def _whole_streams(session: Session, ids: Ids) -> tuple[dict[str, list[RecordedEvent]], list[Failure]]:
    """Every stream up to its first event that cannot be read or leaves a gap; and those events."""
    streams: dict[str, list[RecordedEvent]] = {}
    broken: dict[str, Failure] = {}
    for each in read_rows(read_streams(session, ids)):
        if isinstance(each, Failure):
            streams.setdefault(each.order_id, [])
            broken.setdefault(each.order_id, each)
            continue
        stream = streams.setdefault(each.aggregate_id, [])
        if each.aggregate_id in broken:
            continue
        if each.version == len(stream) + 1:
            stream.append(each)
        else:
            gap = LookupError(f"version {len(stream) + 1} is missing")
            broken[each.aggregate_id] = Failure(each.aggregate_id, each.version, gap)
    return streams, list(broken.values())


def _differences(
    model: ReadModel[Any], stored: Sequence[Sequence[Values]] | None, events: Sequence[RecordedEvent]
) -> list[tuple[str, object, object]]:
    """(field, stored, expected) where the tables do not hold what these events, or those before a failure, make."""
    row = next(iter(fold_until_failures(model, events)[0].values()), None)
    if stored is None or row is None:
        here, there = ("there is one" if each else "none" for each in (stored, row))
        return [("row", here, there)] if here != there else []
    left, right = _fields(model, stored), _fields(model, model.to_tables(row))
    return [
        (column, left.get(column), right.get(column))
        for column in sorted(left.keys() | right.keys())
        if left.get(column) != right.get(column)
    ]


def _fields(model: ReadModel[Any], tables: Sequence[Sequence[Values]]) -> dict[str, object]:
    """By column; those of a part by its table and key, as `order_item_read_models.2.quantity`."""
    fields: dict[str, object] = {}
    for table, rows in zip(model.tables, tables, strict=True):
        for values in rows:
            row = {column.name: value for column, value in zip(table.columns, values, strict=True)}
            key = [str(row[column.name]) for column in table.primary_key if column.name != "order_id"]
            prefix = ".".join([table.name, *key, ""]) if key else ""
            fields |= {f"{prefix}{column}": value for column, value in row.items() if column != "order_id"}
    return fields


def _version(model: ReadModel[Any], stored: Sequence[Sequence[Values]] | None) -> int:
    return max(0, stored[0][0][version_column(model)]) if stored else 0


def _passed_by(session: Session, name: str, shown: Mapping[str, int]) -> set[str]:
    next_versions = [version + 1 for version in shown.values()]
    rows = {"order_ids": list(shown), "versions": next_versions, "projector": name}
    return set(session.execute(PASSED_BY, rows).scalars())


def _ids_in(session: Session, table: Table, ids: Ids) -> set[str]:
    return set(session.execute(select(table.c.order_id).where(ids.among(table.c.order_id))).scalars())
