"""The header fields of requests and answers, each with the page that defines it."""

from typing import Any

from webapp.api.headers import BARE_KEY, LONGEST_WAIT, QUOTED_KEY

Schema = dict[str, Any]


def _answer(description: str, schema: Schema, example: object, *, required: bool = True) -> Schema:
    return {"description": description, "required": required, "schema": schema, "example": example}


_VISIBLE_TAG = '(W/)?"[!#-~]*"'

IDEMPOTENCY_KEY = "Idempotency-Key"
IF_MATCH = "If-Match"
IF_NONE_MATCH = "If-None-Match"
LAST_EVENT_ID = "Last-Event-ID"
PREFER = "Prefer"
REQUEST_ID = "X-Request-Id"

# Without their names, which are the keys, and their place, which is the header.
REQUEST_HEADERS: dict[str, Schema] = {
    IDEMPOTENCY_KEY: {
        "description": "A key of the client's choice, such as a UUID: the same request with the same key gets the first"
        " answer again and does nothing (draft-ietf-httpapi-idempotency-key-header-07). Kept for 24 hours.",
        "schema": {"type": "string", "pattern": rf"^({BARE_KEY}|{QUOTED_KEY})$"},
        "example": "6f1c9a52-7d0e-4c7b-9d4e-0b8f2a3c5d17",
    },
    IF_MATCH: {
        "description": "The ETag that the order must still have, or the command is refused with 412 (RFC 9110, section"
        " 13.1.1).",
        "schema": {"type": "string", "pattern": rf"^(\*|{_VISIBLE_TAG}(, ?{_VISIBLE_TAG})*)$"},
        "example": '"2"',
    },
    IF_NONE_MATCH: {
        "description": "The ETag that the client has; the answer is 304 while the order has it (RFC 9110, section"
        " 13.1.2).",
        "schema": {"type": "string"},
        "example": '"2"',
    },
    LAST_EVENT_ID: {
        "description": "The `id` of the last event that came: the stream goes on behind it, whatever `after` says.",
        "schema": {"type": "string", "format": "feed-cursor"},
    },
    PREFER: {
        "description": f"`wait=N` waits up to N seconds, {LONGEST_WAIT} at the most, until the read models show it"
        " or the feed has news (RFC 7240).",
        "schema": {"type": "string"},
        "example": "wait=5",
    },
    REQUEST_ID: {
        "description": "An id of the client's choice for the request: 1 to 128 visible ASCII characters, no comma."
        " Anything else is replaced.",
        "schema": {"type": "string"},
        "example": "0b8f2a3c-shop-17",
    },
}

ETAG = "ETag"
LINK = "Link"
LOCATION = "Location"
IDEMPOTENT_REPLAYED = "Idempotent-Replayed"
PREFERENCE_APPLIED = "Preference-Applied"
RETRY_AFTER = "Retry-After"
RATE_LIMIT_LIMIT = "RateLimit-Limit"
RATE_LIMIT_REMAINING = "RateLimit-Remaining"
RATE_LIMIT_RESET = "RateLimit-Reset"
WWW_AUTHENTICATE = "WWW-Authenticate"

ANSWER_HEADERS: dict[str, Schema] = {
    ETAG: _answer("The order's version.", {"type": "string", "pattern": '^"[1-9][0-9]*"$'}, '"2"'),
    LINK: _answer("The next page (RFC 8288).", {"type": "string"}, '</events?after=MS43LjIu&limit=100>; rel="next"'),
    LOCATION: _answer("Where the new order is.", {"type": "string"}, "/orders/019a5e3c-2b1f-7c40-9d51-7a2f5f3b8c1e"),
    IDEMPOTENT_REPLAYED: _answer(
        "This is the answer of an earlier request with this key.", {"const": "true"}, "true", required=False
    ),
    PREFERENCE_APPLIED: _answer(
        "The summary and the details show the command.", {"const": "wait"}, "wait", required=False
    ),
    RETRY_AFTER: _answer("Seconds to wait before the next try.", {"type": "integer", "minimum": 1}, 2),
    RATE_LIMIT_LIMIT: _answer(
        "Requests in the time of the limit (draft-polli-ratelimit-headers-02).", {"type": "integer", "minimum": 1}, 6000
    ),
    RATE_LIMIT_REMAINING: _answer("Requests that are left of them.", {"type": "integer", "minimum": 0}, 0),
    RATE_LIMIT_RESET: _answer("Seconds until the limit begins anew.", {"type": "integer", "minimum": 1}, 2),
    WWW_AUTHENTICATE: _answer("How to bring a key (RFC 6750).", {"type": "string"}, 'Bearer realm="orderlog"'),
    REQUEST_ID: _answer(
        "The id of the request, in its events and log lines too.", {"type": "string"}, "0b8f2a3c-shop-17"
    ),
}
