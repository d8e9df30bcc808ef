"""Idempotency keys: what a command that came with one has answered, stored in the transaction of its events.

Follows draft-ietf-httpapi-idempotency-key-header-07. A key that is remembered twice at once lets one command through:
the primary key referees, as it does between writers of one stream.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, DateTime, Integer, LargeBinary, Table, Text, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.database import metadata
from core.event_sourcing.event_store import RecordedEvent

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
)


class Outcome(NamedTuple):
    """What a command has done: the last event that it stored."""

    order_id: str
    version: int
    position: int


class KeyUsedForAnotherRequest(Exception):
    """The key was sent before with a different request."""


class KeyUsedMeanwhile(Exception):
    """Another request with the same key was stored first; this one is undone, and the other's outcome can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """`owner` keeps the keys of different clients apart; `request_hash` tells requests apart."""

    owner: str
    key: str
    request_hash: bytes
    lifetime: timedelta

    def outcome(self, session: Session) -> Outcome | None:
        """Of the first request with this key, if it was not too long ago. Raises KeyUsedForAnotherRequest."""
        keys = idempotency_keys.c
        query = select(keys.request_hash, keys.order_id, keys.version, keys.position).where(
            keys.owner == self.owner, keys.key == self.key, keys.created_at > func.now() - self.lifetime
        )
        with session.begin():
            found = session.execute(query).one_or_none()
        if found is None:
            return None
        if found.request_hash != self.request_hash:
            raise KeyUsedForAnotherRequest
        return Outcome(found.order_id, found.version, found.position)

    def remembering(self, session: Session) -> Callable[[Sequence[RecordedEvent]], None]:
        """What stores the outcome within the command's transaction, and raises KeyUsedMeanwhile."""

        def remember(recorded: Sequence[RecordedEvent]) -> None:
            last = recorded[-1]
            row: dict[str, Any] = {"request_hash": self.request_hash, "created_at": func.now()}
            row |= {"order_id": last.aggregate_id, "version": last.version, "position": last.position}
            statement = insert(idempotency_keys).values(owner=self.owner, key=self.key, **row)
            statement = statement.on_conflict_do_update(
                constraint=idempotency_keys.primary_key,
                set_=row,
                where=idempotency_keys.c.created_at <= func.now() - self.lifetime,
            )
            if session.execute(statement.returning(idempotency_keys.c.key)).scalar() is None:
                raise KeyUsedMeanwhile

        return remember


def prune(session: Session, lifetime: timedelta) -> int:
    """Delete the keys that have expired; returns how many."""
    expired = delete(idempotency_keys).where(idempotency_keys.c.created_at <= func.now() - lifetime)
    return len(session.execute(expired.returning(idempotency_keys.c.key)).all())
