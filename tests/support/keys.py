"""An application that asks for keys, and keys of every kind for it."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from core import api_keys
from core.api_keys import Created, Scope

NOW = datetime.now(UTC)
EVERY_SCOPE = frozenset(Scope)


class Keys:
    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def create(self, *scopes: Scope, name: str = "shop", expires_at: datetime | None = None) -> Created:
        with self._sessions.begin() as session:
            return api_keys.create(session, name, scopes, now=NOW, expires_at=expires_at)

    def expired(self) -> Created:
        return self.create(*EVERY_SCOPE, expires_at=NOW - timedelta(seconds=1))

    def revoked(self) -> Created:
        created = self.create(*EVERY_SCOPE)
        self.revoke(created)
        return created

    def revoke(self, created: Created) -> None:
        with self._sessions.begin() as session:
            api_keys.revoke(session, created.key.id, now=datetime.now(UTC))


def bearing(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def without(scopes: Collection[Scope], scope: Scope) -> list[Scope]:
    return [each for each in scopes if each is not scope]
