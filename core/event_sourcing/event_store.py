"""What every event store offers. A stream is the events of one aggregate, in the order of their versions."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from core.orders.events import OrderEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    event: OrderEvent
    occurred_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


class RecordedEvent(NamedTuple):
    """A stored event. `position` is its place in the whole log and says nothing about commit order."""

    position: int
    aggregate_id: str
    version: int
    event: OrderEvent
    metadata: Mapping[str, str]
    occurred_at: datetime


class WrongExpectedVersion(Exception):
    """Somebody else has appended to the stream since it was read; load it afresh and decide again."""

    def __init__(self, aggregate_id: str, expected_version: int) -> None:
        super().__init__(f"The stream of {aggregate_id} is no longer at version {expected_version}.")


class EventStore(Protocol):
    def append(self, aggregate_id: str, expected_version: int, events: Sequence[NewEvent]) -> list[RecordedEvent]:
        """Add events after `expected_version`, all or none. Raises WrongExpectedVersion."""

    def read_stream(self, aggregate_id: str, after: int = 0) -> Iterator[RecordedEvent]:
        """The events of one aggregate with a version above `after`; nothing if it does not exist."""

    def read_all(self) -> Iterator[RecordedEvent]:
        """The whole log by position."""


class Transaction(Protocol):
    """Opens a store whose appends become visible together when the block ends, or not at all when it raises."""

    def __call__(self) -> AbstractContextManager[EventStore]: ...
