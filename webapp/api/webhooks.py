"""Webhooks: endpoints of other services, to which events are sent as they happen."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from flask import current_app, url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator

from core.api_keys import Scope
from core.event_sourcing import feed
from core.orders import values
from core.orders.errors import InvalidValue
from core.webhooks import endpoints
from core.webhooks.sending import LONGEST_URL, receiver_url
from webapp.api import fields, header_fields
from webapp.api.fields import Strict, described
from webapp.api.operation import Answer, Operation
from webapp.api.requests import read_body, read_query
from webapp.database import sessions
from webapp.problems import catalogue as problems


def _url(value: object) -> str:
    return receiver_url(value, development=not current_app.config["AUTH"])


def _description(value: object) -> str:
    return "" if value == "" else values.reason(value)


def _enabled(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue("enabled", "must be true or false")
    return value


def _event_id(value: object) -> tuple[str, int]:
    """The order's id and the version, as `cloud_events.event_id` puts them together."""
    found = re.fullmatch(f"({values.ORDER_ID})/([1-9][0-9]{{0,8}})", value) if isinstance(value, str) else None
    if found is None:
        raise InvalidValue("event_id", "must be the id of an event, such as ORDER-001/2")
    return found[1], int(found[2])


def _cursor(value: object) -> feed.Cursor:
    return feed.decode(value if isinstance(value, str) else "")


def _attempt(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidValue("cursor", "must be the next_cursor of an earlier answer") from error


CURSOR: fields.JsonSchema = {"type": "string", "format": "feed-cursor", "maxLength": 100}
URL: fields.JsonSchema = {"type": "string", "format": "webhook-url", "maxLength": LONGEST_URL}
EXAMPLE_URL = "https://shop.example/hooks/orders"

Url = Annotated[str, PlainValidator(_url), described(URL, "Where events are sent; https.", EXAMPLE_URL)]
Description = Annotated[
    str, PlainValidator(_description), fields.text(values.REASON_LENGTH, "For people.", "The shop", least=0)
]
Types = Annotated[
    tuple[fields.EventType, ...],
    Field(max_length=len(fields.EVENT_TYPES), description="Only events of these types; empty for every type."),
]
Enabled = Annotated[bool, PlainValidator(_enabled), described({"type": "boolean"}, "Whether events are sent.")]


class CreateWebhookBody(Strict):
    url: Url
    description: Description = ""
    types: Types = ()
    enabled: Enabled = True
    after: Annotated[
        feed.Cursor | None,
        PlainValidator(_cursor),
        described(CURSOR, "Begin after this cursor of the feed; without it, with what happens from now on."),
    ] = None


class ChangeWebhookBody(Strict):
    """What is left out stays as it is."""

    url: Url = Field(default_factory=str)
    description: Description = Field(default_factory=str)
    types: Types = Field(default_factory=tuple)
    enabled: Enabled = Field(default_factory=bool)


class RedeliverBody(Strict):
    """One event, or all after a cursor."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    event_id: Annotated[
        tuple[str, int] | None,
        PlainValidator(_event_id),
        described(
            {"type": "string", "maxLength": 75, "pattern": f"^{values.ORDER_ID}/[1-9][0-9]{{0,8}}$"},
            "The `id` of the event.",
            f"{fields.EXAMPLE_ORDER_ID}/2",
        ),
    ] = None
    after: Annotated[
        feed.Cursor | None, PlainValidator(_cursor), described(CURSOR, "A cursor of the feed; all that follows.")
    ] = None

    @model_validator(mode="after")
    def _one(self) -> "RedeliverBody":
        if len(self.model_fields_set) != 1:
            raise InvalidValue("event_id", "give either event_id or after")
        return self


class DeliveriesQuery(Strict):
    limit: fields.PageSize = 50
    cursor: Annotated[
        UUID | None,
        PlainValidator(_attempt),
        described({"type": "string", "format": "uuid"}, "The `next_cursor` of the page before."),
    ] = None


class Webhook(BaseModel):
    """An endpoint. `disabled_because` says why it was disabled, if nobody asked for it.

    `waiting` orders have events that it has still to get; `failing` of them are tried again, `parked` are not."""

    id: str
    url: str
    description: str
    types: list[str]
    enabled: bool
    disabled_because: str | None
    created_at: fields.Time
    updated_at: fields.Time
    waiting: fields.NumberOfOrders
    failing: fields.NumberOfOrders
    parked: fields.NumberOfOrders


class WebhookWithSecret(Webhook):
    """`secret` is shown only now."""

    secret: str


class Webhooks(BaseModel):
    """All of them, oldest first."""

    webhooks: list[Webhook]


class Delivery(BaseModel):
    """One attempt. Without a `status` nothing was answered, and `error` says why; `answer` is the first 1 KB of it."""

    id: str
    order_id: fields.OrderId
    version: fields.Version
    event_type: str
    attempted_at: fields.Time
    duration_ms: Annotated[int, Field(ge=0)]
    status: int | None
    error: str | None
    answer: str


class Deliveries(BaseModel):
    """The attempts of 30 days, newest first; `next_cursor` is null on the last page."""

    deliveries: list[Delivery]
    next_cursor: str | None


def create_webhook() -> ResponseReturnValue:
    body = read_body(CreateWebhookBody)
    with sessions().begin() as session:
        webhook = endpoints.create(session, **dict(body))
    return {**webhook}, 201, {"Location": url_for("show_webhook", webhook_id=webhook["id"])}


def list_webhooks() -> ResponseReturnValue:
    with sessions().begin() as session:
        return {"webhooks": endpoints.list_webhooks(session)}


def show_webhook(webhook_id: UUID) -> ResponseReturnValue:
    with sessions().begin() as session:
        return {**endpoints.find(session, str(webhook_id))}


def change_webhook(webhook_id: UUID) -> ResponseReturnValue:
    body = read_body(ChangeWebhookBody)
    changes = {name: value for name, value in body if name in body.model_fields_set}
    with sessions().begin() as session:
        return {**endpoints.change(session, str(webhook_id), changes)}


def delete_webhook(webhook_id: UUID) -> ResponseReturnValue:
    with sessions().begin() as session:
        endpoints.remove(session, str(webhook_id))
    return "", 204


def rotate_secret(webhook_id: UUID) -> ResponseReturnValue:
    with sessions().begin() as session:
        return {**endpoints.rotate(session, str(webhook_id))}


def list_deliveries(webhook_id: UUID) -> ResponseReturnValue:
    query = read_query(DeliveriesQuery)
    with sessions().begin() as session:
        found = endpoints.deliveries(session, str(webhook_id), before=query.cursor, limit=query.limit + 1)
    shown = [{**attempt, "id": str(attempt["id"])} for attempt in found[: query.limit]]
    return {"deliveries": shown, "next_cursor": shown[-1]["id"] if len(found) > query.limit else None}


def redeliver(webhook_id: UUID) -> ResponseReturnValue:
    body = read_body(RedeliverBody)
    with sessions().begin() as session:
        if body.event_id is not None:
            endpoints.redeliver(session, str(webhook_id), *body.event_id)
        elif body.after is not None:
            endpoints.redeliver_after(session, str(webhook_id), body.after)
    return "", 202


EXAMPLE_ID = "019a5e3f-77aa-7b21-8c34-1d2e3f405162"
EXAMPLE_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105 - an example
EXAMPLE: dict[str, Any] = {
    "id": EXAMPLE_ID,
    "url": EXAMPLE_URL,
    "description": "The shop",
    "types": ["OrderShipped"],
    "enabled": True,
    "disabled_because": None,
    "created_at": fields.EXAMPLE_TIME,
    "updated_at": fields.EXAMPLE_TIME,
    "waiting": 3,
    "failing": 1,
    "parked": 0,
}
EXAMPLE_DELIVERY = {
    "id": "019a5e40-0c1d-7e5f-9a6b-7c8d9e0f1a2b",
    "order_id": fields.EXAMPLE_ORDER_ID,
    "version": 4,
    "event_type": "OrderShipped",
    "attempted_at": fields.EXAMPLE_TIME,
    "duration_ms": 84,
    "status": 503,
    "error": None,
    "answer": "come back later",
}
WEBHOOK_ID_IN_PATH: fields.JsonSchema = {
    "webhook_id": {
        "description": "The webhook's id.",
        "schema": {"type": "string", "format": "uuid"},
        "example": EXAMPLE_ID,
    }
}


def of_webhook(
    method: str, path: str, view: Callable[[UUID], ResponseReturnValue], summary: str, answer: Answer, **more: Any
) -> Operation:
    """An operation on one webhook; `more` are other fields of the record."""
    return Operation(
        method=method,
        path=f"/webhooks/{{webhook_id}}{path}",
        in_path=WEBHOOK_ID_IN_PATH,
        view=view,
        scope=Scope.WEBHOOKS_MANAGE,
        summary=summary,
        answers=(answer,),
        **{"problems": (problems.WEBHOOK_NOT_FOUND,), **more},
    )


SHOWN = Answer(description="The webhook.", model=Webhook, example=EXAMPLE)
WITH_SECRET = Answer(
    description="The webhook with its secret.", model=WebhookWithSecret, example={**EXAMPLE, "secret": EXAMPLE_SECRET}
)

OPERATIONS = (
    Operation(
        method="post",
        path="/webhooks",
        view=create_webhook,
        scope=Scope.WEBHOOKS_MANAGE,
        summary="Create a webhook",
        description="Events are sent to it as CloudEvents, signed by Standard Webhooks 1.0; the secret is shown once.",
        body=CreateWebhookBody,
        example={"url": EXAMPLE_URL, "description": "The shop", "types": ["OrderShipped"]},
        answers=(replace(WITH_SECRET, status=201, headers=(header_fields.LOCATION,)),),
        problems=(problems.TOO_MANY_WEBHOOKS, problems.CURSOR_OF_ANOTHER_LOG),
    ),
    Operation(
        path="/webhooks",
        view=list_webhooks,
        scope=Scope.WEBHOOKS_MANAGE,
        summary="List the webhooks",
        answers=(Answer(description="All of them.", model=Webhooks, example={"webhooks": [EXAMPLE]}),),
    ),
    of_webhook("get", "", show_webhook, "Show a webhook, and what it has still to get", SHOWN),
    of_webhook(
        "patch",
        "",
        change_webhook,
        "Change a webhook",
        SHOWN,
        description="While it is disabled nothing is sent and nothing is lost; enabling it sends what waits, also what"
        " was parked.",
        body=ChangeWebhookBody,
        example={"enabled": False},
    ),
    of_webhook(
        "delete",
        "",
        delete_webhook,
        "Delete a webhook",
        Answer(status=204, description="It is gone.", media_types=()),
    ),
    of_webhook(
        "post",
        "/rotate",
        rotate_secret,
        "Give a webhook another secret",
        WITH_SECRET,
        description="For 24 hours the secrets before it sign too.",
    ),
    of_webhook(
        "get",
        "/deliveries",
        list_deliveries,
        "List the attempts to deliver",
        Answer(
            description="A page of attempts.",
            model=Deliveries,
            example={"deliveries": [EXAMPLE_DELIVERY], "next_cursor": None},
        ),
        query=DeliveriesQuery,
    ),
    of_webhook(
        "post",
        "/redeliver",
        redeliver,
        "Send events again",
        Answer(status=202, description="They will be sent.", media_types=()),
        description="One event of a type that it wants, with all up to the last that waits if later ones of its order"
        " do; or all that follow a cursor of the feed.",
        body=RedeliverBody,
        example={"event_id": f"{fields.EXAMPLE_ORDER_ID}/2"},
        problems=(problems.WEBHOOK_NOT_FOUND, problems.EVENT_NOT_FOUND, problems.CURSOR_OF_ANOTHER_LOG),
    ),
)
