"""The feed: settled events in the one order in which none ever appears behind a cursor that was given out.

That order is (epoch, transaction id, position), as in catch-up. The events of one order come in the order of their
versions: an append is a transaction of its own, which gets its id after the event before it was committed.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Connection
from pydantic_core import from_json

from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.postgres_store import recorded
from core.event_sourcing.streams import parsed
from core.orders.errors import InvalidValue

MOST_LOOKED_AT = 10_000  # events that one page may pass over, so that a rare type costs no request more than this

# Transactions below this have all ended, so nothing can still appear at or before an event below it. Those of earlier
# epochs ended in another cluster; `log_epoch()` begins an epoch if the database was moved.
SETTLED_BELOW = "(SELECT log_epoch()), pg_snapshot_xmin(pg_current_snapshot())"

AFTER = "(epoch, transaction_id, position) > (%(epoch)s, %(transaction_id)s::text::xid8, %(position)s)"
BEFORE = "(epoch, transaction_id, position) < (%(epoch)s, %(transaction_id)s::text::xid8, %(position)s)"
BELOW = "(epoch, transaction_id) < (%(end_epoch)s, %(end_id)s::text::xid8)"

PLACE = ("epoch", "transaction_id", "position")

# The versions of an order are in the order of the feed. OFFSET keeps PostgreSQL from going by the index of places
# instead: it believes that hardly anything follows a cursor of the newest epoch.
OF_ORDER = "(SELECT * FROM events WHERE aggregate_id = %(order_id)s ORDER BY version OFFSET 0) AS of_order"

# What is below its answer stays so, and is seen by every later statement.
READ_END = f"""
    SELECT settled.*, stood.aggregate_id, stood.version, stood.occurred_at
    FROM (SELECT {SETTLED_BELOW}) AS settled (epoch, transaction_id) LEFT JOIN events AS stood
    ON (stood.epoch, stood.transaction_id, stood.position)
     = (%(epoch)s, %(transaction_id)s::text::xid8, %(position)s)
"""

COLUMNS = """
    epoch, transaction_id::text::bigint AS id,
    position, aggregate_id, version, event_type, event_data::text, metadata::text, occurred_at
"""

FROM_POSITION = f"SELECT {COLUMNS} FROM events WHERE position >= %(position)s ORDER BY position LIMIT 1"


class CursorOfAnotherLog(Exception):
    """The event that a cursor stands on is not in this log: a backup from before it was restored."""

    def __init__(self) -> None:
        super().__init__("The event that the cursor stands on is not in the log: a backup from before it was restored.")


class Cursor(NamedTuple):
    """How far a follower has read: up to this place, where an event with this digest stands. Ordered as the feed is."""

    epoch: int
    transaction_id: int
    position: int
    digest: str  # of the event; a restored backup gives ids and positions out again


START = Cursor(0, 0, 0, "")

_CURSOR = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,17})\.([0-9a-f]{16}|)", re.ASCII)


def encode(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(".".join(map(str, cursor)).encode()).decode().rstrip("=")


def decode(text: str) -> Cursor:
    """Raises InvalidValue for anything that `encode` did not make."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        found = _CURSOR.fullmatch(base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii"))
    except (ValueError, binascii.Error):
        found = None
    if found is not None:
        cursor = Cursor(int(found[1]), int(found[2]), int(found[3]), found[4])
        if encode(cursor) == text and bool(cursor.digest) == (cursor.position > 0):
            return cursor
    raise InvalidValue("after", "must be a cursor that this service gave out")


class FeedEvent(NamedTuple):
    """A settled event as it is stored, and its place in the feed; `event_data` is JSON text.

    `recorded` and `cursor` are made anew each time they are asked for."""

    epoch: int
    transaction_id: int
    position: int
    order_id: str
    version: int
    event_type: str
    event_data: str
    metadata: Mapping[str, Any]
    occurred_at: datetime

    @property
    def cursor(self) -> Cursor:
        """How far a follower is who has read up to this event."""
        digest = _digest(self.order_id, self.version, self.occurred_at)
        return Cursor(self.epoch, self.transaction_id, self.position, digest)

    @property
    def recorded(self) -> RecordedEvent:
        """Raises UnknownEventType."""
        data, of_event = from_json(self.event_data), self[2:6]
        return recorded((*of_event, data, self.metadata, self.occurred_at))


class FeedPage(NamedTuple):
    """`at_end` tells that nothing more was settled. Without events it may still have moved the cursor."""

    events: list[FeedEvent]
    next_cursor: Cursor
    at_end: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFilter:
    """Which events a follower wants: all of them, or those that meet every condition. `until` itself is left out."""

    types: Sequence[str] = ()
    order_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    correlation_id: str | None = None

    def conditions(self) -> str:
        """In SQL, but for the order's, by which events are found."""
        wanted = {
            "event_type = ANY(%(types)s)": self.types,
            "occurred_at >= %(since)s": self.since,
            "occurred_at < %(until)s": self.until,
            "metadata ->> 'correlation_id' = %(correlation_id)s": self.correlation_id,
        }
        return " AND ".join(condition for condition, value in wanted.items() if value)

    def parameters(self) -> dict[str, Any]:
        """What the conditions and the order's name."""
        return {
            "types": list(self.types),
            "order_id": self.order_id,
            "since": self.since,
            "until": self.until,
            "correlation_id": self.correlation_id,
        }

    def takes(self, event: FeedEvent) -> bool:
        """The same of an event that has been read."""
        return (
            (not self.types or event.event_type in self.types)
            and self.order_id in (None, event.order_id)
            and (self.since is None or event.occurred_at >= self.since)
            and (self.until is None or event.occurred_at < self.until)
            and self.correlation_id in (None, event.metadata.get("correlation_id"))
        )


EVERYTHING = FeedFilter()


def read_feed(
    connection: Connection[Any], after: Cursor = START, limit: int = 100, matching: FeedFilter = EVERYTHING
) -> FeedPage:
    """The next events after this cursor. It waits for nobody and locks nothing.

    Raises CursorOfAnotherLog."""
    return _page(connection, after, limit, matching, beyond=AFTER, backwards=False)


def read_back(
    connection: Connection[Any], before: Cursor | None = None, limit: int = 100, matching: FeedFilter = EVERYTHING
) -> FeedPage:
    """The events before this cursor, or the last ones, newest first. The cursor of the page is for the one before it,
    and `at_end` tells that there is none.

    Raises CursorOfAnotherLog."""
    beyond = BEFORE if before else "true"
    return _page(connection, before or START, limit, matching, beyond=beyond, backwards=True)


def _page(
    connection: Connection[Any], after: Cursor, limit: int, matching: FeedFilter, *, beyond: str, backwards: bool
) -> FeedPage:
    limit = min(limit, MOST_LOOKED_AT)
    wanted = (
        after._asdict() | _end(connection, after) | matching.parameters() | {"limit": limit, "most": MOST_LOOKED_AT}
    )
    among, columns = ("events", PLACE) if matching.order_id is None else (OF_ORDER, ("version",))
    forth, back = (", ".join(f"{column} {way}" for column in columns) for way in ("ASC", "DESC"))
    key, reverse = (back, forth) if backwards else (forth, back)
    looked_at = f"(SELECT * FROM {among} WHERE {beyond} AND {BELOW} ORDER BY {key} LIMIT %(most)s) AS looked_at"
    conditions = matching.conditions()
    page = f"SELECT {COLUMNS} FROM {looked_at} WHERE {conditions or 'true'} ORDER BY {key} LIMIT %(limit)s"
    rows = connection.execute(page, wanted, prepare=False).fetchall()
    metadata = parsed(row[7] for row in rows)  # in one piece, as it is quicker
    events = [FeedEvent._make((*row[:7], known, row[8])) for row, known in zip(rows, metadata, strict=True)]
    reached = events[-1].cursor if events else after
    if len(events) == limit or not conditions:
        return FeedPage(events, reached, len(events) < limit)
    last = f"SELECT {COLUMNS}, count(*) OVER () FROM {looked_at} ORDER BY {reverse} LIMIT 1"
    passed = connection.execute(last, wanted, prepare=False).fetchone()
    if passed is None:
        return FeedPage(events, reached, True)
    *last_event, number = passed
    return FeedPage(events, FeedEvent(*last_event).cursor, number < MOST_LOOKED_AT)


def before_last(connection: Connection[Any], number: int, matching: FeedFilter = EVERYTHING) -> Cursor:
    """After which the last so many events follow."""
    wanted = _end(connection, START) | matching.parameters() | {"number": number}
    query = f"""
        SELECT {COLUMNS} FROM {"events" if matching.order_id is None else OF_ORDER}
        WHERE {" AND ".join(filter(None, [BELOW, matching.conditions()]))}
        ORDER BY epoch DESC, transaction_id DESC, position DESC OFFSET %(number)s LIMIT 1
    """
    found = connection.execute(query, wanted, prepare=False).fetchone()
    return FeedEvent(*found).cursor if found else START


def first_later(connection: Connection[Any], moment: datetime) -> Cursor | None:
    """Where the first event later than this stands; None if there is none.

    Sought by halves, because events are stored as they happen. Imported ones are not; there it is a place nearby."""
    last = connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()
    low, high = 0, last[0] + 1 if last else 1
    while high - low > 1:
        middle = (low + high) // 2
        found = connection.execute(FROM_POSITION, {"position": middle}).fetchone()
        if found is None or FeedEvent(*found).occurred_at > moment:
            high = middle
        else:
            low = FeedEvent(*found).position
    found = connection.execute(FROM_POSITION, {"position": high}).fetchone()
    return FeedEvent(*found).cursor if found else None


def _end(connection: Connection[Any], after: Cursor) -> dict[str, Any]:
    """Below which epoch and transaction id everything is settled. Raises CursorOfAnotherLog."""
    epoch, transaction_id, *stood = connection.execute(READ_END, after._asdict(), prepare=False).fetchall()[0]
    if after != START and (stood[0] is None or _digest(*stood) != after.digest):
        raise CursorOfAnotherLog
    return {"end_epoch": epoch, "end_id": transaction_id}


def _digest(order_id: str, version: int, occurred_at: datetime) -> str:
    told = f"{order_id} {version} {occurred_at.timestamp():.6f}"
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
