"""The record of one endpoint. Flask's rules, needed scopes, the contract, its page and the tests come from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from flask.typing import ResponseReturnValue
from pydantic import BaseModel

from core.api_keys import Scope
from webapp.api import header_fields
from webapp.api.header_fields import Schema
from webapp.api.requests import largest_body
from webapp.gate.auth import OPEN
from webapp.problems import catalogue as problems
from webapp.problems.problem import Problem

COMMANDS, QUERIES, EVENTS, WEBHOOKS, SERVICE = "Commands", "Queries", "Events", "Webhooks", "Service"
TAGS: Mapping[Scope | Literal["open"], str] = {
    Scope.ORDERS_WRITE: COMMANDS,
    Scope.ORDERS_READ: QUERIES,
    Scope.EVENTS_READ: EVENTS,
    Scope.WEBHOOKS_MANAGE: WEBHOOKS,
    OPEN: SERVICE,
}

Problems = tuple[Problem, ...]

EVERYWHERE = (
    problems.INVALID_HEADER,
    problems.BAD_REQUEST,
    problems.ONLY_FOR_THIS_MACHINE,
    problems.NOT_FOR_OTHER_SITES,
    problems.TOO_MANY_REQUESTS,
    problems.INTERNAL,
)
WITH_A_BODY = (
    problems.NOT_JSON,
    problems.REQUEST_TIMEOUT,
    problems.TOO_LARGE,
    problems.UNSUPPORTED,
    problems.INVALID,
)
BEHIND_A_KEY = (
    *EVERYWHERE,
    problems.KEY_REQUIRED,
    problems.SCOPE_REQUIRED,
    problems.DATABASE_AWAY,
    problems.DATABASE_BUSY,
)
NO_OPERATION = (*EVERYWHERE, problems.NOT_FOUND, problems.METHOD_NOT_ALLOWED)
"""The problems of a path or method that no operation has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A good answer. `model` is None if it is not JSON; `media_types` is empty if it has no content.

    `batch_of` is what a media type that ends in "batch+json" lists."""

    description: str
    status: int = 200
    model: type[BaseModel] | None = None
    batch_of: type[BaseModel] | None = None
    media_types: tuple[str, ...] = ("application/json",)
    headers: tuple[str, ...] = ()
    example: object = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """The view's name is Flask's endpoint and the contract's operationId.

    `path` marks its parameters as OpenAPI does, /orders/{order_id}, and `in_path` describes each. `example` is a body.
    `problems` are those that no other field implies. Machines ask a probe every few seconds: it is not limited, and
    logged at DEBUG. `follows` names the operations that can come next, for the order in the answer; `link` holds what
    they take from that answer beside the order's id, as OpenAPI's runtime expressions.
    """

    path: str
    in_path: Mapping[str, Schema] = field(default_factory=dict)
    view: Callable[..., ResponseReturnValue]
    scope: Scope | Literal["open"]
    method: str = "get"
    summary: str
    description: str = ""
    headers: tuple[str, ...] = (header_fields.REQUEST_ID,)
    body: type[BaseModel] | None = None
    body_required: bool = True
    example: Mapping[str, object] = field(default_factory=dict)
    query: type[BaseModel] | None = None
    answers: tuple[Answer, ...]
    problems: Problems = ()
    is_probe: bool = False
    follows: tuple[str, ...] = ()
    link: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.view.__name__

    @property
    def tag(self) -> str:
        return TAGS[self.scope]

    @property
    def largest_body(self) -> int:
        """In bytes; what is longer is refused with 413."""
        return largest_body(self.body) if self.body else 0

    @property
    def needs_no_value(self) -> bool:
        """Whether its path can be requested as it stands."""
        query = self.query.model_fields.values() if self.query else ()
        return not self.in_path and not any(field.is_required() for field in query)

    @property
    def rule(self) -> str:
        """The path in Flask's notation."""
        typed = self.path.replace("{order_id}", "<order_id:order_id>").replace("{webhook_id}", "<uuid:webhook_id>")
        return typed.replace("{", "<").replace("}", ">")

    @property
    def every_problem(self) -> Problems:
        """Those of reading the request, its own, and those that every operation has, or every one behind a key."""
        return (
            *(WITH_A_BODY if self.body else ()),
            *((problems.INVALID,) if self.query else ()),
            *((problems.NOT_FOUND,) if self.in_path else ()),
            *self.problems,
            *(EVERYWHERE if self.scope == OPEN else BEHIND_A_KEY),
        )
