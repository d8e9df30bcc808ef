"""Every problem that an answer may tell of, and its document (RFC 9457)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app


@dataclass(frozen=True, slots=True)
class Problem:
    """`slug` is the stable end of the problem's type, "/problems/<slug>", where `meaning` can be read."""

    slug: str
    status: int
    title: str
    meaning: str


NOT_JSON = Problem("not-json", 400, "The body is not JSON", "Send one JSON text (RFC 8259) in UTF-8.")
BAD_REQUEST = Problem("bad-request", 400, "The request cannot be read", "The HTTP request itself is malformed.")
KEY_REQUIRED = Problem(
    "key-required",
    401,
    "An API key is needed",
    "Send Authorization: Bearer with a key that is known here, has not expired and is not revoked.",
)
SCOPE_REQUIRED = Problem(
    "scope-required",
    403,
    "The key is not for this",
    "The key is good but has not the scope that this needs; `needed_scope` names it. Ask for a key that has it.",
)
ONLY_FOR_THIS_MACHINE = Problem(
    "only-for-this-machine",
    403,
    "Only programs on this machine are answered",
    "The service runs without API keys (ORDERLOG_AUTH=off), so it answers neither other machines nor proxies.",
)
NOT_FOUND = Problem("not-found", 404, "There is nothing here", "No route has this path; see the table of endpoints.")
ORDER_NOT_FOUND = Problem("order-not-found", 404, "There is no such order", "No order was placed under this id.")
METHOD_NOT_ALLOWED = Problem(
    "method-not-allowed", 405, "The method is not allowed here", "The Allow header lists the methods of this path."
)
REFUSED_BY_STATUS = Problem(
    "refused-by-status",
    409,
    "The order's state refuses this",
    "The order is not in a state that allows the command; `order_status` is the state it is in.",
)
ORDER_ALREADY_PLACED = Problem(
    "order-already-placed", 409, "The order has already been placed", "Another order was placed under this id."
)
CONCURRENT_CHANGE = Problem(
    "concurrent-change",
    409,
    "A concurrent change won",
    "Other commands changed the order at the same time. Nothing was stored; the command may be sent again.",
)
INVALID_HEADER = Problem(
    "invalid-header", 400, "A header cannot be honoured", "The detail says which header, and what it may hold."
)
NO_SUCH_VERSION = Problem(
    "no-such-version",
    404,
    "The order has no such version",
    "Versions count 1, 2, 3 … without gaps; `latest_version` is the order's last.",
)
NOT_PLACED_YET = Problem(
    "not-placed-yet",
    404,
    "The order had not been placed by then",
    "The time asked for is before the order's first event.",
)
ORDER_HAS_MOVED_ON = Problem(
    "order-has-moved-on",
    412,
    "The order has moved on",
    "If-Match names versions that the order is not at; `version` is the one it is at. Nothing was stored.",
)
KEY_REUSED = Problem(
    "idempotency-key-reused",
    422,
    "The Idempotency-Key belongs to another request",
    "The key was sent before with another path or body. Use a new key for a new request; nothing was stored.",
)
TOO_LARGE = Problem("content-too-large", 413, "The body is too large", "A body may have 1 MiB at the most.")
UNSUPPORTED = Problem(
    "unsupported-media-type",
    415,
    "The body's type is not supported",
    "Send Content-Type: application/json, in UTF-8.",
)
INVALID = Problem(
    "invalid-request",
    422,
    "Some values are wrong",
    "`errors` lists the first hundred faults: `pointer` (RFC 6901) says where in the body or query, `detail` what is "
    "wrong.",
)
TOO_MANY_REQUESTS = Problem(
    "too-many-requests",
    429,
    "Too many requests",
    "The limit of this key or address is used up. Go on after Retry-After seconds; nothing was done for this request.",
)
INTERNAL = Problem("internal-error", 500, "Something went wrong here", "A fault of the service; the logs say more.")
DATABASE_AWAY = Problem(
    "database-away",
    503,
    "The database is away",
    "Try again after Retry-After seconds. A command may have been stored if the database went away during it.",
)
DATABASE_BUSY = Problem(
    "database-busy",
    503,
    "The database is busy",
    "No connection was free in time, or a statement was given up after its time. Try again after Retry-After seconds.",
)
EVENT_UNKNOWN = Problem(
    "event-unknown",
    503,
    "The order has an event that is unknown here",
    "A later release of the service has stored an event that this one cannot read. Nothing was stored for the request.",
)
NOT_READY = Problem(
    "not-ready",
    503,
    "The service is not ready",
    "PostgreSQL is away or not migrated; `checks` says what is missing.",
)
READ_MODEL_BEHIND = Problem(
    "read-model-behind",
    503,
    "The read model is behind",
    "The order's events are stored but not shown yet. Try again after Retry-After seconds.",
)

PROBLEMS = {
    problem.slug: problem
    for problem in (
        NOT_JSON,
        BAD_REQUEST,
        KEY_REQUIRED,
        SCOPE_REQUIRED,
        ONLY_FOR_THIS_MACHINE,
        NOT_FOUND,
        ORDER_NOT_FOUND,
        METHOD_NOT_ALLOWED,
        REFUSED_BY_STATUS,
        ORDER_ALREADY_PLACED,
        CONCURRENT_CHANGE,
        INVALID_HEADER,
        NO_SUCH_VERSION,
        NOT_PLACED_YET,
        ORDER_HAS_MOVED_ON,
        KEY_REUSED,
        TOO_LARGE,
        UNSUPPORTED,
        INVALID,
        TOO_MANY_REQUESTS,
        INTERNAL,
        DATABASE_AWAY,
        DATABASE_BUSY,
        EVENT_UNKNOWN,
        NOT_READY,
        READ_MODEL_BEHIND,
    )
}


class ReadModelBehind(Exception):
    """What was asked for is stored but not shown yet; `shown` says how far the read model is, if that is known."""

    def __init__(self, message: str, **shown: int) -> None:
        super().__init__(message)
        self.shown = shown


def answer(problem: Problem, detail: str, *, headers: Mapping[str, str] | None = None, **extensions: Any) -> Response:
    """The problem document; `extensions` are further members of it."""
    document = {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        **extensions,
    }
    body = current_app.json.dumps(document)
    return Response(body, problem.status, headers, content_type="application/problem+json")
