"""The event store in a list, for domain tests and examples. It stores the same JSON as PostgreSQL would."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import RLock

from core.event_sourcing.codec import decode, encode
from core.event_sourcing.event_store import NewEvent, RecordedEvent, WrongExpectedVersion


class InMemoryEventStore:
    """Safe to share between threads."""

    def __init__(self) -> None:
        self._log: list[tuple[RecordedEvent, str]] = []
        self._lock = RLock()

    def append(self, aggregate_id: str, expected_version: int, events: Sequence[NewEvent]) -> list[RecordedEvent]:
        with self._lock:
            if len(list(self.read_stream(aggregate_id))) != expected_version:
                raise WrongExpectedVersion(aggregate_id, expected_version)
            recorded = [
                RecordedEvent(
                    position=len(self._log) + number,
                    aggregate_id=aggregate_id,
                    version=expected_version + number,
                    event=new.event,
                    metadata=dict(new.metadata),
                    occurred_at=new.occurred_at,
                )
                for number, new in enumerate(events, start=1)
            ]
            self._log.extend((each, json.dumps(encode(each.event))) for each in recorded)
            return recorded

    def read_stream(self, aggregate_id: str, after: int = 0) -> Iterator[RecordedEvent]:
        return (each for each in self.read_all() if each.aggregate_id == aggregate_id and each.version > after)

    def read_all(self) -> Iterator[RecordedEvent]:
        with self._lock:
            log = list(self._log)
        return (recorded._replace(event=decode(*json.loads(stored))) for recorded, stored in log)

    @contextmanager
    def transaction(self) -> Iterator["InMemoryEventStore"]:
        """Undoes this block's appends if it raises."""
        with self._lock:
            length = len(self._log)
            try:
                yield self
            except BaseException:  # a KeyboardInterrupt too: the block is undone whatever ends it
                del self._log[length:]
                raise
