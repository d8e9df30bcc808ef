"""The event store in a list, for domain tests and examples. It stores the same JSON as PostgreSQL would."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import RLock

from core.event_sourcing.codec import decode, encode
from core.event_sourcing.event_store import NewEvent, RecordedEvent, Snapshot, WrongExpectedVersion
from core.idempotency import IdempotencyKey, KeyUsed, KeyUsedForAnotherRequest, Outcome


class InMemoryEventStore:
    """Safe to share between threads. Its keys do not expire."""

    def __init__(self) -> None:
        self._log: list[tuple[RecordedEvent, str]] = []
        self._keys: dict[tuple[str, str], tuple[bytes, Outcome]] = {}
        self._snapshots: dict[str, Snapshot] = {}
        self._lock = RLock()

    def append(
        self,
        aggregate_id: str,
        expected_version: int,
        events: Sequence[NewEvent],
        *,
        once: IdempotencyKey | None = None,
        snapshot: Snapshot | None = None,
    ) -> list[RecordedEvent]:
        if not events:
            return []
        with self._lock:
            if len(list(self.read_stream(aggregate_id))) != expected_version:
                raise WrongExpectedVersion(aggregate_id, expected_version)
            if once is not None and (once.owner, once.key) in self._keys:
                raise KeyUsed
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
            if once is not None:
                outcome = Outcome(aggregate_id, recorded[-1].version, recorded[-1].position)
                self._keys[once.owner, once.key] = once.request_hash, outcome
            if snapshot is not None:
                self._snapshots[aggregate_id] = snapshot._replace(state=json.loads(json.dumps(snapshot.state)))
            return recorded

    def read_stream(self, aggregate_id: str, after: int = 0) -> Iterator[RecordedEvent]:
        return (each for each in self.read_all() if each.aggregate_id == aggregate_id and each.version > after)

    def read_from_snapshot(self, aggregate_id: str, shape: int) -> tuple[Snapshot | None, Iterator[RecordedEvent]]:
        with self._lock:
            found = self._snapshots.get(aggregate_id)
            snapshot = found if found and found.shape == shape else None
            return snapshot, self.read_stream(aggregate_id, snapshot.version if snapshot else 0)

    def outcome(self, key: IdempotencyKey) -> Outcome | None:
        with self._lock:
            request_hash, outcome = self._keys.get((key.owner, key.key), (key.request_hash, None))
        if request_hash != key.request_hash:
            raise KeyUsedForAnotherRequest
        return outcome

    def read_all(self) -> Iterator[RecordedEvent]:
        """The whole log by position."""
        with self._lock:
            log = list(self._log)
        return (recorded._replace(event=decode(*json.loads(stored))) for recorded, stored in log)

    def open(self) -> AbstractContextManager["InMemoryEventStore"]:
        """This store, where one is to be opened."""
        return nullcontext(self)
