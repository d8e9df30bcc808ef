"""Idempotency keys: what a command that came with one has answered, stored by the statement that stores its events.

Follows draft-ietf-httpapi-idempotency-key-header-07. A key that is remembered twice at once lets one command through:
the primary key referees, as it does between writers of one stream.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, DateTime, Delete, Integer, LargeBinary, Table, Text, delete, func, select
from sqlalchemy.orm import Session

from core.database import metadata

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


class KeyUsed(Exception):
    """A request with the same key was stored before; nothing is stored for this one, and the other's outcome is there
    to be read, unless it has expired."""


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

    def forget_expired(self, session: Session) -> None:
        """Free the key if it was used too long ago."""
        keys = idempotency_keys.c
        with session.begin():
            session.execute(_expired(self.lifetime).where(keys.owner == self.owner, keys.key == self.key))


def prune(session: Session, lifetime: timedelta) -> int:
    """Delete the keys that have expired; returns how many."""
    return len(session.execute(_expired(lifetime).returning(idempotency_keys.c.key)).all())


def _expired(lifetime: timedelta) -> Delete:
    return delete(idempotency_keys).where(idempotency_keys.c.created_at <= func.now() - lifetime)
