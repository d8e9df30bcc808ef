"""The request headers by which a client asks for more: If-Match, If-None-Match, Prefer and Idempotency-Key."""

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import timedelta

from flask import current_app, g, request
from pydantic import BaseModel
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_etags

from core.api_keys import ANONYMOUS
from core.event_sourcing import feed
from core.event_sourcing.feed import Cursor
from core.idempotency import IdempotencyKey
from core.orders.errors import InvalidValue

LONGEST_WAIT = 10  # seconds
LONGEST_FIELD = 1024  # bytes of a header; what is longer is refused, or ignored where a client cannot count on it

_WAIT = re.compile(r"wait\s*=\s*(\"?)(\d{1,9})\1\s*(;.*)?", re.ASCII | re.IGNORECASE)
_TAG = r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"'
_TAGS = re.compile(rf"[ \t,]*{_TAG}([ \t]*,[ \t,]*{_TAG})*[ \t,]*")
# Apache adds -gzip within the tag where it compresses, other servers --gzip or ;br.
_VERSION = re.compile(r"([1-9]\d{0,8})(?:(?:--?|;)[a-z]{2,7})?", re.ASCII)
# Bare, or as a string of RFC 9651. Two such headers arrive as one with a comma, but the field is an item, not a list.
BARE_KEY, QUOTED_KEY = r"[!#-+\--\[\]-~]{1,255}", r'"[!#-\[\]-~]{1,255}"'


class InvalidHeader(Exception):
    """A header that cannot be honoured and must not be ignored; the message says what it may hold."""


class InvalidIdempotencyKey(InvalidHeader):
    def __init__(self) -> None:
        super().__init__(
            "Idempotency-Key must be one key of 1 to 255 visible ASCII characters, without quotes and backslashes; one"
            " with a comma stands in double quotes."
        )


def etag(version: int) -> str:
    """The strong entity tag of an order at this version (RFC 9110, section 8.8.3)."""
    return f'"{version}"'


def expected_versions() -> frozenset[int] | None:
    """The versions that If-Match allows (RFC 9110, section 13.1.1), None for any.

    A weak tag counts too: a tag is a version, not bytes, and proxies change tags when they compress.

    Raises InvalidHeader."""
    value = request.headers.get("If-Match", "*")
    if value == "*":
        return None
    if len(value) > LONGEST_FIELD or not _TAGS.fullmatch(value):
        raise InvalidHeader('If-Match must be * or entity tags such as "3", with their quotes.')
    return _versions(tag for _, tag in re.findall(_TAG, value))


def client_has(version: int) -> bool:
    """Whether If-None-Match says so (RFC 9110, section 13.1.2)."""
    tags = parse_etags(_optional("If-None-Match"))
    return tags.star_tag or version in _versions(tags.as_set(include_weak=True))


def _versions(tags: Iterable[str]) -> frozenset[int]:
    return frozenset(int(found[1]) for found in map(_VERSION.fullmatch, filter(None, tags)) if found)


def wait_seconds() -> int:
    """What `Prefer: wait=N` asks for (RFC 7240, section 4.3), 10 at the most; 0 without it, and for what is unknown."""
    for preference in _optional("Prefer").split(","):
        if match := _WAIT.fullmatch(preference.strip()):
            return min(int(match[2]), LONGEST_WAIT)
    return 0


def last_event_id() -> Cursor | None:
    """Where a client comes back to (WHATWG HTML, "Server-sent events"). Raises InvalidHeader."""
    value = request.headers.get("Last-Event-ID")
    if not value:
        return None
    try:
        return feed.decode(value)
    except InvalidValue as error:
        raise InvalidHeader("Last-Event-ID must be the id of an event that this service streamed.") from error


def best_answer(*media_types: str) -> str | None:
    """The one of these that Accept prefers (RFC 9110, section 12.5.1), the first for anything."""
    return parse_accept_header(_optional("Accept"), MIMEAccept).best_match(media_types)


def _optional(name: str) -> str:
    value = request.headers.get(name, "")
    return value if len(value) <= LONGEST_FIELD else ""


def idempotency_key(body: BaseModel) -> IdempotencyKey | None:
    """The key that came with this request, if one did (draft-ietf-httpapi-idempotency-key-header-07).

    It belongs to the API key's name, so that a client may change its key between two tries. Requests are the same if
    their path and validated body are. Raises InvalidHeader."""
    value = request.headers.get("Idempotency-Key")
    if value is None:
        return None
    if not re.fullmatch(rf"{BARE_KEY}|{QUOTED_KEY}", value):
        raise InvalidIdempotencyKey
    content = json.dumps([request.path, body.model_dump(exclude_defaults=True)], sort_keys=True, default=str)
    return IdempotencyKey(
        owner="" if g.actor == ANONYMOUS else g.actor,
        key=value.strip('"'),
        request_hash=hashlib.sha256(content.encode()).digest(),
        lifetime=timedelta(hours=float(current_app.config["IDEMPOTENCY_HOURS"])),
    )
