"""Who may call what: `Authorization: Bearer ol_<id>_<secret>` (RFC 6750), and the scope that each endpoint needs."""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final, Literal

from flask import Flask, current_app, g, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from core import api_keys
from core.api_keys import ANONYMOUS, ApiKey, MalformedKey, Scope
from core.command_handler import utc_now
from core.weak_secrets import is_loopback
from webapp.database import sessions

OPEN: Final = "open"  # said instead of a scope by what needs no key
SESSION: Final = "session"  # and by the console's pages, which look at the key themselves (webapp/console/sign_in.py)

Needed = Scope | Literal["open", "session"]

CACHE = "orderlog-key-cache"
CACHE_SECONDS = 0.5  # how long a revoked key may still work
MOST_CACHED = 1000

FORWARDING_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via")


class MissingKey(Exception):
    """The request brings no key."""

    def __init__(self) -> None:
        super().__init__("Send an API key: Authorization: Bearer ol_<id>_<secret>.")


class MissingScope(Exception):
    """The key is good, but has not the scope that is needed."""

    def __init__(self, needed: Scope) -> None:
        super().__init__(f"The key has not the scope {needed}.")
        self.needed = needed


class OnlyForThisMachine(Exception):
    """Without keys, a request from elsewhere, or through a proxy."""

    def __init__(self) -> None:
        super().__init__("This service asks for no keys, and so answers only programs on its own machine.")


class FromAnotherSite(Exception):
    """Without keys, what a browser on this machine asks for in the name of a site elsewhere."""

    def __init__(self) -> None:
        super().__init__("This service asks for no keys, and so answers no pages of sites on other machines.")


class KeyCache:
    """Keys that were good a moment ago, by the hash of their text or by their id. That saves most queries."""

    def __init__(self) -> None:
        self._found: dict[bytes, tuple[ApiKey, float]] = {}

    def authenticate(self, text: str, now: datetime) -> ApiKey:
        """Raises KeyRefused."""
        digest = hashlib.sha256(text.encode()).digest()
        return self._get(digest, lambda session: api_keys.authenticate(session, text, now=now), now)

    def find(self, key_id: str, now: datetime) -> ApiKey:
        """The key with this id, whose text somebody has shown before. Raises KeyRefused."""
        return self._get(key_id.encode(), lambda session: api_keys.find(session, key_id, now=now), now)

    def _get(self, name: bytes, ask: Callable[[Session], ApiKey], now: datetime) -> ApiKey:
        key, until = self._found.get(name, (None, 0.0))
        if key is not None and time.monotonic() < until:
            key.require_valid(now)
            return key
        asked = time.monotonic()
        with sessions().begin() as session:
            key = ask(session)
        if len(self._found) >= MOST_CACHED:
            self._found.clear()
        self._found[name] = (key, asked + CACHE_SECONDS)
        return key


def init_app(app: Flask, scopes: Mapping[str, Needed], *, required: bool) -> None:
    """`scopes` has every endpoint; one that is missing answers 404, whatever the key."""
    app.extensions[CACHE] = KeyCache()
    app.before_request(partial(_require_key, scopes) if required else _require_this_machine)


def _require_key(scopes: Mapping[str, Needed]) -> None:
    """Raises MissingKey, KeyRefused, MissingScope. A path without a route needs no key: its answer is 404 or 405."""
    g.actor = ANONYMOUS
    if request.endpoint is None:
        return
    needed = scopes.get(request.endpoint)
    if needed is None:
        raise NotFound
    if needed in (OPEN, SESSION):
        return
    key = key_cache().authenticate(_bearer(), utc_now())
    if needed not in key.scopes:
        raise MissingScope(Scope(needed))
    g.actor, g.api_key_id = key.name, key.id


def key_cache() -> KeyCache:
    found: KeyCache = current_app.extensions[CACHE]
    return found


def _bearer() -> str:
    """Raises MissingKey, MalformedKey."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if not scheme:
        raise MissingKey
    if scheme.lower() != "bearer" or not text.isascii():
        raise MalformedKey
    return text.strip(" ")


def _require_this_machine() -> None:
    """HOST may say loopback while the server was told otherwise; then nobody is answered.

    Raises OnlyForThisMachine, FromAnotherSite."""
    g.actor = ANONYMOUS
    listens_on = request.environ.get("SERVER_NAME", "")
    if not is_loopback(listens_on) or not is_loopback(request.remote_addr or ""):
        raise OnlyForThisMachine
    if any(name in request.headers for name in FORWARDING_HEADERS):
        raise OnlyForThisMachine
    _refuse_other_sites()


def _refuse_other_sites() -> None:
    """A site may give its own name this machine's address, so the name is looked at too. Raises FromAnotherSite."""
    headers = request.headers
    names = [headers.get("Host", "localhost"), headers.get("Origin", "http://localhost").partition("://")[2]]
    if headers.get("Sec-Fetch-Site") == "cross-site" or not all(map(_names_this_machine, names)):
        raise FromAnotherSite


def _names_this_machine(host_and_port: str) -> bool:
    parts = re.fullmatch(r"(\[[0-9a-f:]+\]|[^:\[\]]*?)\.?(:\d*)?", host_and_port.lower(), re.ASCII)
    return parts is not None and (is_loopback(parts[1]) or parts[1].endswith(".localhost"))
