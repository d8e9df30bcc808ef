"""What every event store offers. A stream is the events of one aggregate, in the order of their versions."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from core.idempotency import IdempotencyKey, Outcome
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


class Snapshot(NamedTuple):
    """The state of an aggregate after its event of this version, which happened at `occurred_at`.

    `state` holds JSON values; another `shape` is one that this release does not read."""

    version: int
    shape: int
    occurred_at: datetime
    state: Mapping[str, Any]


class WrongExpectedVersion(Exception):
    """Somebody else has appended to the stream since it was read; load it afresh and decide again."""

    def __init__(self, aggregate_id: str, expected_version: int) -> None:
        super().__init__(f"The stream of {aggregate_id} is no longer at version {expected_version}.")


class PositionTaken(Exception):
    """The log's sequence is behind its events. That of a database that was moved no longer is: append again."""

    def __init__(self) -> None:
        super().__init__(
            "An event with the next position of the log is there already (constraint events_pkey): the sequence"
            " events_position_seq is behind. Set it to the last position with setval()."
        )


class EventStore(Protocol):
    def append(
        self,
        aggregate_id: str,
        expected_version: int,
        events: Sequence[NewEvent],
        *,
        once: IdempotencyKey | None = None,
        snapshot: Snapshot | None = None,
    ) -> list[RecordedEvent]:
        """Add events after `expected_version`, with the key and the snapshot that go with them: all or nothing.

        Raises WrongExpectedVersion, KeyUsed, PositionTaken."""

    def read_stream(self, aggregate_id: str, after: int = 0) -> Iterator[RecordedEvent]:
        """The events of one aggregate with a version above `after`; nothing if it does not exist."""

    def read_from_snapshot(self, aggregate_id: str, shape: int) -> tuple[Snapshot | None, Iterator[RecordedEvent]]:
        """The latest snapshot of this shape, if there is one, and the events after it."""

    def outcome(self, key: IdempotencyKey) -> Outcome | None:
        """What was stored with this key; None, and the key is free, if that is too long ago or never was.

        Raises KeyUsedForAnotherRequest."""


class OpenStore(Protocol):
    """Opens a store whose every append is a transaction of its own: on disk when `append` returns."""

    def __call__(self) -> AbstractContextManager[EventStore]: ...
