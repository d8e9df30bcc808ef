"""Comparing a sample of a read model with the events, in about a second whatever its size."""

import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.streams import IdRange
from core.event_sourcing.tables import events
from core.projection.read_model import ReadModel
from core.projection.status import last_position
from core.projection.verify import Verified, steps, verify

ORDERS_PER_RANGE = 100
MOST_RANGES = 10


@dataclass(slots=True)
class Sample:
    """What was found, and in which ranges of order ids; one from the first id to the last is the whole."""

    ranges: list[IdRange] = field(default_factory=list)
    found: Verified = field(default_factory=Verified)

    @property
    def is_whole(self) -> bool:
        return self.ranges == [IdRange()]


def verify_sample(
    sessions: sessionmaker[Session], models: Mapping[str, ReadModel[Any]], *, seconds: float, to_the_end: bool = False
) -> Sample:
    """As `verify`, of everything if that is little, else of ranges that begin at random, until the time is up."""
    until, sample = time.monotonic() + seconds, Sample()
    first = next(steps(sessions))
    for ids in [first] if first.until_id is None else _at_random(sessions):
        found = verify(sessions, models, ids, to_the_end=to_the_end)
        sample.ranges.append(ids)
        sample.found.rows += found.rows
        sample.found.behind += found.behind
        sample.found.differences += found.differences
        sample.found.broken += found.broken
        if time.monotonic() >= until:
            break
    return sample


def _at_random(sessions: sessionmaker[Session]) -> Iterator[IdRange]:
    """Found by places in the log: to pick among ids would read all of them."""
    stored, begun = events.c, set[str]()
    for _ in range(MOST_RANGES):
        with sessions.begin() as session:
            place = random.randint(1, last_position(session))
            at = select(stored.aggregate_id).where(stored.position >= place).order_by(stored.position).limit(1)
            first = session.execute(at).scalar_one()
            later = select(stored.aggregate_id).where(stored.version == 1, stored.aggregate_id > first)
            later = later.order_by(stored.aggregate_id).offset(ORDERS_PER_RANGE - 1).limit(1)
            until = session.execute(later).scalar()
        if first not in begun:
            begun.add(first)
            yield IdRange(first, until)
