"""The feed of events for other services: CloudEvents in the one order that never changes behind a cursor."""

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from flask import Response, g, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from core.api_keys import Scope
from core.database import driver_connection
from core.event_sourcing import cloud_events, feed
from core.event_sourcing.feed import FeedFilter, FeedPage, read_feed
from webapp.api import fields, header_fields, headers, streams
from webapp.api.fields import Strict
from webapp.api.operation import Answer, Operation
from webapp.api.requests import read_query
from webapp.api.waiting import feed_has_news
from webapp.database import sessions
from webapp.problems import catalogue as problems

BATCH = "application/cloudevents-batch+json"


EventTypes = Annotated[tuple[fields.EventType, ...], Field(description="Only events of these types; may be repeated.")]


class StreamQuery(Strict):
    after: fields.FeedCursor | None = None
    type: EventTypes = ()
    order_id: fields.OfOrder | None = None
    since: Annotated[fields.HappenedFrom | None, Field(alias="from")] = None
    until: Annotated[fields.HappenedBefore | None, Field(alias="to")] = None

    def matching(self) -> FeedFilter:
        return FeedFilter(types=self.type, order_id=self.order_id, since=self.since, until=self.until)


class FeedQuery(StreamQuery):
    limit: fields.FeedPageSize = 100


class CloudEvent(BaseModel):
    """One event (CloudEvents 1.0.2). `id` never changes; `data` has the event's own fields, amounts as numbers."""

    specversion: Literal["1.0"]
    id: str
    source: Literal["/orders"]
    type: str
    subject: fields.OrderId
    time: fields.Time
    datacontenttype: Literal["application/json"]
    position: fields.Position
    orderversion: fields.Version
    correlationid: str | None = None
    causationid: str | None = None
    actor: str | None = None
    data: dict[str, Any]


class EventPage(BaseModel):
    """The events after the cursor; `next_cursor` goes on from there, for ever. At the end it stays the same."""

    events: list[CloudEvent]
    next_cursor: str


def list_events() -> ResponseReturnValue:
    query = read_query(FeedQuery, repeatable=("type",))
    matching = query.matching()
    page = FeedPage([], query.after or feed.START, at_end=True)

    def has_news(session: Session) -> bool:
        """Or has looked at so many events that the client had better ask again."""
        nonlocal page
        page = read_feed(driver_connection(session), page.next_cursor, query.limit, matching)
        return bool(page.events) or not page.at_end

    with sessions().begin() as session:
        found = has_news(session)
    if not found and (seconds := headers.wait_seconds()):
        feed_has_news(has_news, seconds)
    return _answer(page)


def _answer(page: FeedPage) -> Response:
    """JSON text is put together as it is: encoding it again would halve the speed."""
    cursor, events = feed.encode(page.next_cursor), ",".join(map(cloud_events.cloud_event, page.events))
    kept = [(name, value) for name, value in request.args.items(multi=True) if name != "after"]
    if headers.best_answer("application/json", BATCH) == BATCH:
        answer = Response(f"[{events}]", content_type=BATCH)
    else:
        answer = Response(f'{{"events":[{events}],"next_cursor":"{cursor}"}}', content_type="application/json")
    answer.headers["Link"] = f'<{request.path}?{urlencode([("after", cursor), *kept])}>; rel="next"'
    answer.vary.add("Accept")
    return answer


def stream_events() -> ResponseReturnValue:
    """The first page, as everywhere; the web server then goes on from there. Any other server ends the answer, and the
    client comes back for more."""
    query = read_query(StreamQuery, repeatable=("type",))
    after, matching = headers.last_event_id() or query.after or feed.START, query.matching()
    with sessions().begin() as session:
        page = read_feed(driver_connection(session), after, streams.PAGE, matching)
    text = streams.text_of(page, after)
    open_stream = request.environ.get(streams.OPEN_STREAM)
    if open_stream is not None and request.method == "GET":
        open_stream(page.next_cursor, matching, g.get("api_key_id"))
    return Response(streams.RETRY + text, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


EXAMPLE_EVENT = {
    "specversion": "1.0",
    "id": f"{fields.EXAMPLE_ORDER_ID}/1",
    "source": cloud_events.SOURCE,
    "type": "OrderConfirmed",
    "subject": fields.EXAMPLE_ORDER_ID,
    "time": "2026-01-31T09:02:00Z",
    "datacontenttype": "application/json",
    "position": 43,
    "orderversion": 3,
    "correlationid": "0b8f2a3c-shop-17",
    "causationid": "019a5e3d-1556-7d02-a5f6-5f4a0c1c9b7d",
    "actor": "shop",
    "data": {"order_id": fields.EXAMPLE_ORDER_ID, "confirmed_at": "2026-01-31T09:02:00+00:00"},
}

OPERATIONS = (
    Operation(
        path="/events",
        view=list_events,
        scope=Scope.EVENTS_READ,
        summary="Follow the events of all orders",
        description="In an order in which nothing ever appears behind a cursor, and the events of one order come by"
        " version. `Prefer: wait=N` makes a page that would be empty wait for news. What was read may be read again:"
        " an event has the same `id` each time.",
        headers=(header_fields.PREFER, header_fields.REQUEST_ID),
        query=FeedQuery,
        answers=(
            Answer(
                description="A page of the feed; `Link` leads to the next one.",
                model=EventPage,
                media_types=("application/json", BATCH),
                batch_of=CloudEvent,
                headers=(header_fields.LINK,),
                example={"events": [EXAMPLE_EVENT], "next_cursor": fields.EXAMPLE_CURSOR},
            ),
        ),
        problems=(problems.CURSOR_OF_ANOTHER_LOG, problems.EVENT_UNKNOWN),
    ),
    Operation(
        path="/events/stream",
        view=stream_events,
        scope=Scope.EVENTS_READ,
        summary="Follow the events of all orders as they happen",
        description="Server-Sent Events in the order of the feed, those that are there first. `id` is a cursor, `event`"
        " the type, `data` a CloudEvent. A client that breaks off comes back with `Last-Event-ID`; one that reads too"
        " slowly is cut off.",
        headers=(header_fields.LAST_EVENT_ID, header_fields.REQUEST_ID),
        query=StreamQuery,
        answers=(Answer(description="The stream, which has no end.", media_types=("text/event-stream",)),),
        problems=(
            problems.CURSOR_OF_ANOTHER_LOG,
            problems.EVENT_UNKNOWN,
            problems.TOO_MANY_STREAMS,
        ),
    ),
)
