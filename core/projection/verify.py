"""Comparing read models, row by row and field by field, with what the events say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.streams import IdList, IdRange, Ids, read_streams
from core.event_sourcing.tables import events
from core.projection.counters import CounterDifference
from core.projection.differences import Difference, fields_that_differ
from core.projection.projector import Failure, Projector, read_rows
from core.read_models.wiring import COUNTERS

ORDERS_PER_STEP = 1000


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
            found.setdefault(difference.projector, set()).add(difference.order_id)
        return found


LATE = text("""
    SELECT event.aggregate_id
    FROM unnest(CAST(:order_ids AS text[]), CAST(:versions AS integer[])) AS next (order_id, version)
    JOIN events AS event ON event.aggregate_id = next.order_id AND event.version = next.version
    JOIN projector_checkpoints AS checkpoint ON checkpoint.projector = :projector
    WHERE (event.transaction_id, event.position) <= (checkpoint.transaction_id, checkpoint.position)
      AND NOT EXISTS (SELECT FROM projection_failures AS failure
                      WHERE failure.projector = :projector AND failure.order_id = event.aggregate_id)
""")


def verify(
    sessions: sessionmaker[Session], projectors: Mapping[str, Projector[Any]], ids: Ids, *, to_the_end: bool = False
) -> Verified:
    """Compare these orders' rows as one snapshot of the database shows them, so that nothing needs to stand still.

    Each with the events up to the version it shows, or `to_the_end` with all there are, as a rebuild would make it."""
    result = Verified()
    with _snapshot(sessions) as session:
        streams, result.broken = _whole_streams(session, ids)
        for name, projector in projectors.items():
            _compare(session, name, projector, ids, streams, result, to_the_end)
    return result


def verify_counters(sessions: sessionmaker[Session], names: Iterable[str]) -> list[CounterDifference]:
    """Compare the counters of these read models with their rows."""
    found: list[CounterDifference] = []
    for name in names:
        if name in COUNTERS:
            with sessions.begin() as session:
                found += COUNTERS[name].differences(session)
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


@contextmanager
def _snapshot(sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sessions.begin() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session


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


def _compare(
    session: Session,
    name: str,
    projector: Projector[Any],
    ids: Ids,
    streams: Mapping[str, Sequence[RecordedEvent]],
    result: Verified,
    to_the_end: bool,
) -> None:
    stray = set[str]().union(*(_ids_in(session, table, ids) for table in projector.tables)) - streams.keys()
    result.differences += [Difference(name, order_id, "row", "there is one", "none") for order_id in sorted(stray)]
    stored = projector.read(session, list(streams))
    result.rows += len(stored)
    next_versions = {}
    for order_id, stream in streams.items():
        view = stored.get(order_id)
        shown = view.version if view is not None else 0
        expected, applied = _fold_up_to(projector, stream, len(stream) if to_the_end else shown)
        if view != expected and (view is not None or to_the_end):
            result.differences += fields_that_differ(name, view, expected)
        elif applied < len(stream):
            next_versions[order_id] = applied + 1
    late = _late(session, name, next_versions)
    result.behind += len(next_versions) - len(late)
    for order_id in late:
        stream, view = streams[order_id], stored.get(order_id)
        expected, _ = _fold_up_to(projector, stream, len(stream))
        stands_still = Difference(name, order_id, "version", next_versions[order_id] - 1, len(stream))
        result.differences += fields_that_differ(name, view, expected) or [stands_still]


def _fold_up_to(projector: Projector[Any], stream: Sequence[RecordedEvent], version: int) -> tuple[Any, int]:
    """The view after the events up to this version, or up to the last that can be applied; and that version."""
    view, applied = None, 0
    for recorded in stream[: max(version, 0)]:
        try:
            view = projector.evolve(view, recorded)
        except Exception:  # the order is parked before this event, and shown as it was then
            break
        applied = recorded.version
    return view, applied


def _late(session: Session, name: str, next_versions: Mapping[str, int]) -> list[str]:
    """The orders whose next event catch-up has passed, which only damage to the row explains."""
    rows = {"order_ids": list(next_versions), "versions": list(next_versions.values()), "projector": name}
    return sorted(session.execute(LATE, rows).scalars()) if next_versions else []


def _ids_in(session: Session, table: Table, ids: Ids) -> set[str]:
    return set(session.execute(select(table.c.order_id).where(ids.among(table.c.order_id))).scalars())
