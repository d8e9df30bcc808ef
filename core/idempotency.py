"""Idempotency keys: what a command that came with one has answered, stored by the statement that stores its events.

Follows draft-ietf-httpapi-idempotency-key-header-07. A key that is remembered twice at once lets one command through:
the primary key referees, as it does between writers of one stream.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, DateTime, Integer, LargeBinary, Table, Text, delete, func
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
    """A request with the same key was stored before, so nothing is stored for this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """`owner` keeps the keys of different clients apart; `request_hash` tells requests apart."""

    owner: str
    key: str
    request_hash: bytes
    lifetime: timedelta


def prune(session: Session, lifetime: timedelta) -> int:
    """Delete the keys that have expired; returns how many."""
    expired = delete(idempotency_keys).where(idempotency_keys.c.created_at <= func.now() - lifetime)
    return len(session.execute(expired.returning(idempotency_keys.c.key)).all())
