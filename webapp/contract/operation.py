"""What the contract says of one operation, and the problems that many share."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from core.api_keys import Scope
from webapp.contract import header_fields
from webapp.gate.auth import NEEDED_SCOPES, OPEN
from webapp.problems import catalogue as problems
from webapp.problems.problem import Problem

Headers = tuple[str, ...]
Problems = tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A good answer; `model` is None for one that is not JSON. `media_types` is empty for one without content."""

    status: int
    description: str
    model: type[BaseModel] | None = None
    media_types: tuple[str, ...] = ("application/json",)
    headers: Headers = ()
    example: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`endpoint` is Flask's name of the view, `name` the contract's operationId.

    `leads_to` are the operations that can follow with the order id of the answer.
    """

    endpoint: str
    method: str
    path: str
    name: str
    summary: str
    description: str = ""
    tag: str
    answers: tuple[Answer, ...]
    problems: Problems
    headers: tuple[str, ...] = (header_fields.REQUEST_ID,)
    body: type[BaseModel] | None = None
    body_required: bool = True
    body_example: Mapping[str, object] | None = None
    query: type[BaseModel] | None = None
    leads_to: tuple[str, ...] = ()

    @property
    def scope(self) -> Scope | None:
        """What a key must have, None for an operation that needs no key."""
        return NEEDED_SCOPES[self.endpoint]

    @property
    def every_problem(self) -> Problems:
        """Those of this operation, then those that its place brings."""
        return (*self.problems, *(EVERYWHERE if self.scope is OPEN else BEHIND_A_KEY))


EVERYWHERE = (
    problems.BAD_REQUEST,
    problems.ONLY_FOR_THIS_MACHINE,
    problems.TOO_MANY_REQUESTS,
    problems.INTERNAL,
)
BEHIND_A_KEY = (
    *EVERYWHERE,
    problems.KEY_REQUIRED,
    problems.SCOPE_REQUIRED,
    problems.DATABASE_AWAY,
    problems.DATABASE_BUSY,
)
NO_OPERATION = (*EVERYWHERE, problems.NOT_FOUND, problems.METHOD_NOT_ALLOWED)
"""What a path or method that is not in the contract is answered."""
