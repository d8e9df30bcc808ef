"""Every problem that an answer may tell of. A new one is a record here, and its name in PROBLEMS."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from json import JSONDecodeError

import psycopg
from psycopg.errors import (
    InsufficientPrivilege,
    QueryCanceled,
    SerializationFailure,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedTable,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    InternalServerError,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
    RequestTimeout,
)

from core.api_keys import KeyRefused, Scope
from core.command_handler import ConcurrentChange, OrderHasMovedOn
from core.database import OF_THIS_CONNECTION
from core.event_sourcing.codec import UnknownEventType
from core.event_sourcing.feed import CursorOfAnotherLog
from core.idempotency import KeyUsedForAnotherRequest
from core.orders.errors import (
    OrderAlreadyPlaced,
    OrderNotFound,
    RefusedByStatus,
    ShippedOrCancelledOrdersCannotBeCancelled,
    TooManyItems,
)
from core.orders.order import Status
from core.read_models.history import NoSuchVersion, NotPlacedYet
from core.webhooks.endpoints import NoSuchEvent, TooManyWebhooks, WebhookNotFound
from webapp.api.fields import EXAMPLE_ORDER_ID as ORDER_ID
from webapp.api.headers import InvalidHeader, InvalidIdempotencyKey
from webapp.api.json_text import InvalidJson, MalformedJson
from webapp.api.requests import BodyTooLarge, InvalidRequest, TooManyChunks, UnsupportedMediaType
from webapp.api.streams import StreamsFull
from webapp.gate.auth import FromAnotherSite, MissingKey, MissingScope, OnlyForThisMachine
from webapp.gate.rate_limits import LimitReached
from webapp.problems.problem import (
    Problem,
    WithChecks,
    WithFaults,
    WithLatestPosition,
    WithLatestVersion,
    WithMaxItems,
    WithNeededScope,
    WithOrderStatus,
    WithVersion,
    WithWhatIsShown,
)


class NothingHere(Exception):
    """A path that a route has, for other values than this; the message says for which."""


class NotReady(Exception):
    """The service cannot serve; `checks` say why, "ok" apart."""

    def __init__(self, checks: Mapping[str, str]) -> None:
        super().__init__(checks["postgresql"])
        self.checks = checks


class OrderBehind(Exception):
    """The order is stored but not shown yet, or at an earlier version; `shown` says how far."""

    def __init__(self, order_id: str, version: int, *, parked: bool = False) -> None:
        until = ", and parked until the people who run the service retry it" if parked else ""
        super().__init__(f"Order {order_id} is stored but shown at version {version} only{until}.")
        self.shown = {"version": version}
        self.seconds = 60 if parked else 1


class ListBehind(Exception):
    """The list does not show the position that was asked for; `shown` says how far it is."""

    def __init__(self, position: int) -> None:
        super().__init__(f"The orders are shown up to position {position} only.")
        self.shown = {"position": position}
        self.seconds = 1


class NoSuchPosition(Exception):
    """A position that no event of the log has reached; `latest` is the last that one has."""

    def __init__(self, position: int, latest: int) -> None:
        super().__init__(f"The last event of the log is at position {latest}; there is none at {position}.")
        self.latest = latest


def retry_after(seconds: int) -> Callable[[Exception], dict[str, str]]:
    return lambda _: {"Retry-After": str(seconds)}


def challenge(error: str | None = None, scope: str | None = None) -> dict[str, str]:
    """RFC 6750, section 3; a request without any key is told no error."""
    given = {"realm": "orderlog", "error": error, "scope": scope}
    return {"WWW-Authenticate": "Bearer " + ", ".join(f'{name}="{value}"' for name, value in given.items() if value)}


NOT_JSON = Problem(
    slug="not-json",
    status=400,
    title="The body is not JSON",
    meaning="Send one JSON text (RFC 8259) in UTF-8.",
    what_to_do="Mend the body; the detail says at which line and column it stops being JSON.",
    example=MalformedJson(JSONDecodeError("Expecting value", "", 0)),
    others=(InvalidJson,),
)

BAD_REQUEST = Problem(
    slug="bad-request",
    status=400,
    title="The request cannot be read",
    meaning="The HTTP request itself is malformed.",
    what_to_do="Look at what is between the client and the service: the request arrived cut off, garbled or in bits.",
    example=BadRequest(),
    others=(TooManyChunks, HTTPException),  # HTTPException: what else Werkzeug raises while it reads a request
)

KEY_REQUIRED = Problem(
    slug="key-required",
    status=401,
    title="An API key is needed",
    meaning="Send Authorization: Bearer with a key that is known here, has not expired and is not revoked.",
    what_to_do=(
        "Send a key, or ask the people who run the service for a new one: they make it with `flask api-keys create`."
    ),
    example=MissingKey(),
    others=(KeyRefused,),
    headers=lambda error: challenge(None if isinstance(error, MissingKey) else "invalid_token"),
)

SCOPE_REQUIRED = Problem(
    slug="scope-required",
    status=403,
    title="The key is not for this",
    meaning=(
        "The key is good but has not the scope that this needs; `needed_scope` names it. Ask for a key that has it."
    ),
    what_to_do="Use a key that has the scope; keys are not changed afterwards.",
    example=MissingScope(Scope.ORDERS_WRITE),
    model=WithNeededScope,
    members=lambda error: {"needed_scope": error.needed},
    headers=lambda error: challenge("insufficient_scope", error.needed),
)

ONLY_FOR_THIS_MACHINE = Problem(
    slug="only-for-this-machine",
    status=403,
    title="Only programs on this machine are answered",
    meaning="The service runs without API keys (ORDERLOG_AUTH=off), so it answers neither other machines nor proxies.",
    what_to_do="Call from the same machine and past no proxy, or run the service with API keys.",
    example=OnlyForThisMachine(),
)

NOT_FOR_OTHER_SITES = Problem(
    slug="not-for-other-sites",
    status=403,
    title="Pages of other sites are not answered",
    meaning=(
        "The service runs without API keys (ORDERLOG_AUTH=off), so it answers no browser whose Host, Origin or"
        " Sec-Fetch-Site names a site on another machine."
    ),
    what_to_do="Call it by localhost or 127.0.0.1, type its address instead of following a link, or run it with keys.",
    example=FromAnotherSite(),
)

NOT_FOUND = Problem(
    slug="not-found",
    status=404,
    title="There is nothing here",
    meaning="No operation has this path: /docs and /openapi.json list all of them.",
    what_to_do="Compare the path with /docs. An order's id has 1 to 64 letters, digits, '-', '.', '_' or '~'.",
    example=NotFound(),
    others=(NothingHere,),
)

ORDER_NOT_FOUND = Problem(
    slug="order-not-found",
    status=404,
    title="There is no such order",
    meaning="No order was placed under this id.",
    what_to_do="Check the id: it is the order_id that placing the order answered.",
    example=OrderNotFound("ORDER-404"),
)

WEBHOOK_NOT_FOUND = Problem(
    slug="webhook-not-found",
    status=404,
    title="There is no such webhook",
    meaning="No webhook has this id, or it was deleted.",
    what_to_do="Look for its id in the list of webhooks.",
    example=WebhookNotFound(),
)

EVENT_NOT_FOUND = Problem(
    slug="event-not-found",
    status=404,
    title="There is no such event",
    meaning="No event has this id.",
    what_to_do="Give the `id` that the event has in the feed and in webhooks.",
    example=NoSuchEvent(),
)

TOO_MANY_WEBHOOKS = Problem(
    slug="too-many-webhooks",
    status=409,
    title="There are too many webhooks",
    meaning="The service has as many webhooks as it may have; the detail says how many those are.",
    what_to_do="Delete one that is no longer needed.",
    example=TooManyWebhooks(),
)

METHOD_NOT_ALLOWED = Problem(
    slug="method-not-allowed",
    status=405,
    title="The method is not allowed here",
    meaning="The Allow header lists the methods of this path.",
    what_to_do="Use one of the methods that the Allow header lists.",
    example=MethodNotAllowed(["GET", "HEAD", "OPTIONS"]),
    headers=lambda error: {"Allow": ", ".join(error.valid_methods or ())},
)

REFUSED_BY_STATUS = Problem(
    slug="refused-by-status",
    status=409,
    title="The order's state refuses this",
    meaning="The order is not in a state that allows the command; `order_status` is the state it is in.",
    what_to_do="Look at the order, and decide again: sending the same command is vain until its state changes.",
    example=ShippedOrCancelledOrdersCannotBeCancelled(ORDER_ID, Status.SHIPPED),
    others=(RefusedByStatus,),
    model=WithOrderStatus,
    members=lambda error: {"order_status": error.status},
)

TOO_MANY_ITEMS = Problem(
    slug="too-many-items",
    status=409,
    title="The order would have too many items",
    meaning="An order may have `max_items` items. Nothing was stored.",
    what_to_do="Place another order for the rest.",
    example=TooManyItems(ORDER_ID, max_items=1000),
    model=WithMaxItems,
    members=lambda error: {"max_items": error.max_items},
)

ORDER_ALREADY_PLACED = Problem(
    slug="order-already-placed",
    status=409,
    title="The order has already been placed",
    meaning="Another order was placed under this id.",
    what_to_do="Look at the order under this id; it may be your own, placed before.",
    example=OrderAlreadyPlaced(ORDER_ID),
)

CONCURRENT_CHANGE = Problem(
    slug="concurrent-change",
    status=409,
    title="A concurrent change won",
    meaning="Other commands changed the order at the same time. Nothing was stored; the command may be sent again.",
    what_to_do="Send the command again after a short, random pause, with the same Idempotency-Key.",
    example=ConcurrentChange(ORDER_ID),
)

INVALID_HEADER = Problem(
    slug="invalid-header",
    status=400,
    title="A header cannot be honoured",
    meaning="The detail says which header, and what it may hold.",
    what_to_do="Mend the header that the detail names. Nothing was stored.",
    example=InvalidIdempotencyKey(),
    others=(InvalidHeader,),
)

NO_SUCH_VERSION = Problem(
    slug="no-such-version",
    status=404,
    title="The order has no such version",
    meaning="Versions count 1, 2, 3 … without gaps; `latest_version` is the order's last.",
    what_to_do="Ask for a version from 1 to latest_version.",
    example=NoSuchVersion(ORDER_ID, version=9, latest=2),
    model=WithLatestVersion,
    members=lambda error: {"latest_version": error.latest},
)

NO_SUCH_POSITION = Problem(
    slug="no-such-position",
    status=404,
    title="The log has no such position",
    meaning="No event has been stored at this position or later; `latest_position` is that of the last event.",
    what_to_do="Ask with the position that a command answered; after a backup was restored, read the list again.",
    example=NoSuchPosition(99, latest=42),
    model=WithLatestPosition,
    members=lambda error: {"latest_position": error.latest},
)

NOT_PLACED_YET = Problem(
    slug="not-placed-yet",
    status=404,
    title="The order had not been placed by then",
    meaning="The time asked for is before the order's first event.",
    what_to_do="Ask for a later time; the detail says when the order was placed.",
    example=NotPlacedYet(ORDER_ID, datetime(2026, 1, 31, 9, tzinfo=UTC)),
)

CURSOR_OF_ANOTHER_LOG = Problem(
    slug="cursor-of-another-log",
    status=410,
    title="The cursor's place in the log is gone",
    meaning=(
        "The event that the cursor stands on is not in the log: the database was restored from an older backup, and"
        " places are given out again. Going on from there could skip events, so it is refused for ever."
    ),
    what_to_do=(
        "Start again without `after`, and pass over the events whose `id` you have. To read less, add `from` with a"
        " time before the backup was made. Drop what you have of events that do not come again."
    ),
    example=CursorOfAnotherLog(),
)

ORDER_HAS_MOVED_ON = Problem(
    slug="order-has-moved-on",
    status=412,
    title="The order has moved on",
    meaning="If-Match names versions that the order is not at; `version` is the one it is at. Nothing was stored.",
    what_to_do="Read the order again, decide again, and send the new ETag in If-Match.",
    example=OrderHasMovedOn(ORDER_ID, version=3),
    model=WithVersion,
    members=lambda error: {"version": error.version},
)

KEY_REUSED = Problem(
    slug="idempotency-key-reused",
    status=422,
    title="The Idempotency-Key belongs to another request",
    meaning="The key was sent before with another path or body. Use a new key for a new request; nothing was stored.",
    what_to_do="Make a new key for each new request, and keep a key only for sending the same request again.",
    example=KeyUsedForAnotherRequest(),
)

REQUEST_TIMEOUT = Problem(
    slug="request-timeout",
    status=408,
    title="The body did not come in time",
    meaning="The body must be there 15 seconds after the head, unless the operator sets another time (BODY_TIMEOUT).",
    what_to_do="Send the request again; nothing was stored. Look at the connection if this goes on.",
    example=RequestTimeout(),
)

TOO_LARGE = Problem(
    slug="content-too-large",
    status=413,
    title="The body is too large",
    meaning="A body may be as long as the longest good one of its operation; the detail says how many bytes that is.",
    what_to_do="Send less; values that keep to the contract always fit.",
    example=BodyTooLarge(12 * 1024),
    others=(RequestEntityTooLarge,),
)

UNSUPPORTED = Problem(
    slug="unsupported-media-type",
    status=415,
    title="The body's type is not supported",
    meaning="Send Content-Type: application/json, in UTF-8.",
    what_to_do="Add the header Content-Type: application/json to the request.",
    example=UnsupportedMediaType(),
)

INVALID = Problem(
    slug="invalid-request",
    status=422,
    title="Some values are wrong",
    meaning=(
        "`errors` lists the first hundred faults: `pointer` (RFC 6901) says where in the body or query, `detail` "
        "what is wrong."
    ),
    what_to_do="Mend every value that errors lists, and send the request again. Nothing was stored.",
    example=InvalidRequest([("#/customer_name", "must not be blank")]),
    model=WithFaults,
    members=lambda error: {"errors": [{"pointer": pointer, "detail": detail} for pointer, detail in error.listed]},
)

TOO_MANY_REQUESTS = Problem(
    slug="too-many-requests",
    status=429,
    title="Too many requests",
    meaning=(
        "The limit of this key or address is used up. Go on after Retry-After seconds; nothing was done for this "
        "request."
    ),
    what_to_do="Wait for Retry-After seconds, and send fewer requests at a time.",
    example=LimitReached(amount=6000, seconds=2),
    headers=lambda error: error.headers,
)

INTERNAL = Problem(
    slug="internal-error",
    status=500,
    title="Something went wrong here",
    meaning="A fault of the service; the logs say more.",
    what_to_do=(
        "Report it with the X-Request-Id of the answer. A command may be sent again with the same Idempotency-Key."
    ),
    example=InternalServerError(),
    others=(Exception,),
    detail="The service failed on this request; nothing more can be said here.",
)

NOT_PREPARED = (UndefinedTable, UndefinedColumn, UndefinedFunction, InsufficientPrivilege)
"""By migrations and migrations/roles.sql; readiness says which is missing."""

DATABASE_AWAY = Problem(
    slug="database-away",
    status=503,
    title="The database is away",
    meaning="Try again after Retry-After seconds. A command may have been stored if the database went away during it.",
    what_to_do=(
        "Send the request again after Retry-After seconds; a command with the same Idempotency-Key, so that it is "
        "not done twice."
    ),
    example=psycopg.OperationalError(),
    others=(psycopg.InterfaceError, *NOT_PREPARED, *OF_THIS_CONNECTION),
    detail="The database does not answer, or takes no changes; try again.",
    headers=retry_after(2),
)

DATABASE_BUSY = Problem(
    slug="database-busy",
    status=503,
    title="The database is busy",
    meaning=(
        "No connection was free in time, or a statement was given up after its time. Try again after Retry-After "
        "seconds."
    ),
    what_to_do="Send the request again after Retry-After seconds; a command with the same Idempotency-Key.",
    example=PoolTimeout(),
    others=(QueryCanceled, SerializationFailure),
    detail="The database is too busy; try again.",
    headers=retry_after(2),
)

EVENT_UNKNOWN = Problem(
    slug="event-unknown",
    status=503,
    title="The order has an event that is unknown here",
    meaning=(
        "A later release of the service has stored an event that this one cannot read. Nothing was stored for the "
        "request."
    ),
    what_to_do=(
        "While a new release is being rolled out, ask again after Retry-After seconds; otherwise the people who "
        "run the service have to bring it up to date."
    ),
    example=UnknownEventType("OrderRefunded", 1),
    headers=retry_after(5),
)

TOO_MANY_STREAMS = Problem(
    slug="too-many-streams",
    status=503,
    title="Too many streams are open",
    meaning="Each web process serves so many streams at a time (STREAMS), and this one has no room for another.",
    what_to_do="Come back after Retry-After seconds, perhaps to another process; GET /events works meanwhile.",
    example=StreamsFull(),
    headers=retry_after(5),
)

NOT_READY = Problem(
    slug="not-ready",
    status=503,
    title="The service is not ready",
    meaning="PostgreSQL is away or not migrated; `checks` says what is missing.",
    what_to_do=(
        "Start PostgreSQL, or run `flask db upgrade`; `checks` says which. A proxy sends requests elsewhere meanwhile."
    ),
    example=NotReady({"postgresql": "PostgreSQL does not answer", "redis": "ok"}),
    model=WithChecks,
    members=lambda error: {"checks": error.checks},
    headers=retry_after(2),
)

READ_MODEL_BEHIND = Problem(
    slug="read-model-behind",
    status=503,
    title="The read model is behind",
    meaning="The order's events are stored but not shown yet. Try again after Retry-After seconds.",
    what_to_do=(
        "Ask again after Retry-After seconds, or ask with Prefer: wait=5. The command that was stored needs no retry."
    ),
    example=OrderBehind(ORDER_ID, version=1),
    others=(ListBehind,),
    model=WithWhatIsShown,
    members=lambda error: error.shown,
    headers=lambda error: {"Retry-After": str(error.seconds)},
)

PROBLEMS = {
    problem.slug: problem
    for problem in (
        NOT_JSON,
        BAD_REQUEST,
        KEY_REQUIRED,
        SCOPE_REQUIRED,
        ONLY_FOR_THIS_MACHINE,
        NOT_FOR_OTHER_SITES,
        NOT_FOUND,
        ORDER_NOT_FOUND,
        METHOD_NOT_ALLOWED,
        REFUSED_BY_STATUS,
        TOO_MANY_ITEMS,
        ORDER_ALREADY_PLACED,
        CONCURRENT_CHANGE,
        INVALID_HEADER,
        NO_SUCH_VERSION,
        NO_SUCH_POSITION,
        NOT_PLACED_YET,
        WEBHOOK_NOT_FOUND,
        EVENT_NOT_FOUND,
        TOO_MANY_WEBHOOKS,
        CURSOR_OF_ANOTHER_LOG,
        ORDER_HAS_MOVED_ON,
        KEY_REUSED,
        REQUEST_TIMEOUT,
        TOO_LARGE,
        UNSUPPORTED,
        INVALID,
        TOO_MANY_REQUESTS,
        INTERNAL,
        DATABASE_AWAY,
        DATABASE_BUSY,
        EVENT_UNKNOWN,
        TOO_MANY_STREAMS,
        NOT_READY,
        READ_MODEL_BEHIND,
    )
}
