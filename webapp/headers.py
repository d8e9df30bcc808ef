"""The request headers by which a client asks for more: If-Match, If-None-Match, Prefer and Idempotency-Key."""

import hashlib
import json
import re
from datetime import timedelta

from flask import current_app, g, request
from pydantic import BaseModel

from core.idempotency import IdempotencyKey

LONGEST_WAIT = 10  # seconds

_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,4})\"?\Z", re.ASCII | re.IGNORECASE)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_QUOTED_KEY = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')  # a string of RFC 9651


class InvalidHeader(Exception):
    """A header that cannot be honoured and must not be ignored; the message says what it may hold."""


def etag(version: int) -> str:
    """The strong entity tag of an order at this version (RFC 9110, section 8.8.3)."""
    return f'"{version}"'


def expected_versions() -> frozenset[int] | None:
    """The versions that If-Match allows (RFC 9110, section 13.1.1), None for any; a tag that is none allows none."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    tags = (tag or "" for tag in request.if_match.as_set())  # an empty one comes as None
    return frozenset(int(tag) for tag in tags if re.fullmatch(r"[1-9]\d{0,8}", tag, re.ASCII))


def client_has(version: int) -> bool:
    """Whether If-None-Match says so (RFC 9110, section 13.1.2)."""
    return request.if_none_match.star_tag or request.if_none_match.contains_weak(str(version))


def wait_seconds() -> int:
    """What `Prefer: wait=N` asks for (RFC 7240, section 4.3), 10 at the most; 0 without it, and for what is unknown."""
    for preference in request.headers.get("Prefer", "").split(","):
        if found := _WAIT.match(preference.strip()):
            return min(int(found[1]), LONGEST_WAIT)
    return 0


def idempotency_key(body: BaseModel) -> IdempotencyKey | None:
    """The key that came with this request, if one did (draft-ietf-httpapi-idempotency-key-header-07).

    Requests are the same if their path and validated body are. Raises InvalidHeader."""
    value = request.headers.get("Idempotency-Key")
    if value is None:
        return None
    quoted = _QUOTED_KEY.fullmatch(value)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value
    if not _KEY.fullmatch(key):
        raise InvalidHeader("Idempotency-Key must be 1 to 255 visible ASCII characters, such as a UUID.")
    content = json.dumps([request.path, body.model_dump()], sort_keys=True, default=str)
    return IdempotencyKey(
        owner=g.get("api_key_id", ""),
        key=key,
        request_hash=hashlib.sha256(content.encode()).digest(),
        lifetime=timedelta(hours=float(current_app.config["IDEMPOTENCY_HOURS"])),
    )
