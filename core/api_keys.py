"""API keys: `ol_<id>_<secret>`. Only the SHA-256 of a secret is stored; 32 random bytes need no slower hash."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import ARRAY, Column, DateTime, LargeBinary, Row, Table, Text, func, insert, select, update
from sqlalchemy.orm import Session

from core.database import metadata

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
)

LONGEST_NAME = 100
ANONYMOUS = "anonymous"  # the actor where no key is asked for

_KEY = re.compile(r"ol_([0-9a-f]{16})_([0-9a-f]{64})")


class Scope(StrEnum):
    """What a key may do. None contains another: a key that does several things has several scopes."""

    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    EVENTS_READ = "events:read"
    WEBHOOKS_MANAGE = "webhooks:manage"
    CONSOLE_OPERATE = "console:operate"  # retry, verify and rebuild on the console's page of read models


class KeyRefused(Exception):
    """A key that opens nothing; the message is for its bearer."""


class MalformedKey(KeyRefused):
    def __init__(self) -> None:
        super().__init__("The key is not of the form ol_<id>_<secret>.")


class UnknownKey(KeyRefused):
    """No such id, or another secret; which of them is not told."""

    def __init__(self) -> None:
        super().__init__("The key is not known here.")


class ExpiredKey(KeyRefused):
    def __init__(self) -> None:
        super().__init__("The key has expired.")


class RevokedKey(KeyRefused):
    def __init__(self) -> None:
        super().__init__("The key has been revoked.")


class UnusableName(ValueError):
    """A name that cannot stand as the actor of an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A stored key, without its secret. Several may have one name, so that a client can change its key."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def require_valid(self, now: datetime) -> None:
        """Raises RevokedKey, ExpiredKey."""
        if self.revoked_at is not None:
            raise RevokedKey
        if self.expires_at is not None and self.expires_at <= now:
            raise ExpiredKey


class Created(NamedTuple):
    """`text` is the whole key, which nobody can find out again."""

    key: ApiKey
    text: str


def create(
    session: Session, name: str, scopes: Collection[Scope], *, now: datetime, expires_at: datetime | None = None
) -> Created:
    """Raises UnusableName."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable() or name == ANONYMOUS:
        raise UnusableName(f"A name has 1 to {LONGEST_NAME} printable characters and is not {ANONYMOUS!r}.")
    key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
    row = {"id": key_id, "name": name, "scopes": sorted(scopes), "created_at": now, "expires_at": expires_at}
    statement = insert(api_keys).values(secret_hash=_hash(secret), **row)
    return Created(_key(session.execute(statement.returning(api_keys)).one()), f"ol_{key_id}_{secret}")


def list_keys(session: Session) -> list[ApiKey]:
    """All of them, oldest first."""
    return [_key(row) for row in session.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id))]


def revoke(session: Session, key_id: str, *, now: datetime) -> ApiKey:
    """For good; a key that was revoked before keeps its time. Raises UnknownKey."""
    revoked_at = func.coalesce(api_keys.c.revoked_at, now)
    statement = update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=revoked_at)
    row = session.execute(statement.returning(api_keys)).one_or_none()
    if row is None:
        raise UnknownKey
    return _key(row)


def authenticate(session: Session, text: str, *, now: datetime) -> ApiKey:
    """The key that this is the text of. Raises MalformedKey, UnknownKey, RevokedKey, ExpiredKey."""
    parts = _KEY.fullmatch(text)
    if parts is None:
        raise MalformedKey
    row = session.execute(select(api_keys).where(api_keys.c.id == parts[1])).one_or_none()
    if not hmac.compare_digest(row.secret_hash if row else bytes(32), _hash(parts[2])) or row is None:
        raise UnknownKey
    key = _key(row)
    key.require_valid(now)
    return key


def find(session: Session, key_id: str, *, now: datetime) -> ApiKey:
    """The key with this id. Raises UnknownKey, RevokedKey, ExpiredKey."""
    row = session.execute(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
    if row is None:
        raise UnknownKey
    key = _key(row)
    key.require_valid(now)
    return key


def is_valid(session: Session, key_id: str, *, now: datetime) -> bool:
    """Whether the key still opens what it has opened."""
    stored = api_keys.c
    query = select(stored.id).where(stored.id == key_id, stored.revoked_at.is_(None))
    unexpired = stored.expires_at.is_(None) | (stored.expires_at > now)
    return session.execute(query.where(unexpired)).one_or_none() is not None


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _key(row: Row[tuple[object, ...]]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        scopes=frozenset(scope for scope in Scope if scope in row.scopes),  # another release may know more
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
