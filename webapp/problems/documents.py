"""The shape of problem documents (RFC 9457), and the members that some have beyond the common four."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, Field

from core.api_keys import Scope
from core.orders.order import Status
from webapp.contract.answers import Version
from webapp.problems import catalogue as problems
from webapp.problems.catalogue import Problem


class ProblemDocument(BaseModel):
    """`type` is stable and leads to a page about it; `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str


class Fault(BaseModel):
    """`pointer` (RFC 6901, as a URI fragment) says where in the body or query, `detail` what is wrong."""

    pointer: str
    detail: str


class WithFaults(ProblemDocument):
    errors: Annotated[list[Fault], Field(min_length=1)]


class WithOrderStatus(ProblemDocument):
    order_status: Status


class WithLatestVersion(ProblemDocument):
    latest_version: Version


class WithVersion(ProblemDocument):
    version: Version


class WithNeededScope(ProblemDocument):
    """`needed_scope` is null where no scope would do."""

    needed_scope: Scope | None


class WithWhatIsShown(ProblemDocument):
    """How far an order is shown (`version`), or the list and the statistics (`position`); 0 for not at all."""

    version: Annotated[int, Field(ge=0)] = 0
    position: Annotated[int, Field(ge=0)] = 0


class WithChecks(ProblemDocument):
    """`checks` says what is wrong, or "ok"."""

    checks: dict[str, str]


DOCUMENTS: Mapping[Problem, type[ProblemDocument]] = {
    problems.INVALID: WithFaults,
    problems.REFUSED_BY_STATUS: WithOrderStatus,
    problems.NO_SUCH_VERSION: WithLatestVersion,
    problems.ORDER_HAS_MOVED_ON: WithVersion,
    problems.SCOPE_REQUIRED: WithNeededScope,
    problems.NOT_READY: WithChecks,
    problems.READ_MODEL_BEHIND: WithWhatIsShown,
}


def document_model(problem: Problem) -> type[ProblemDocument]:
    return DOCUMENTS.get(problem, ProblemDocument)
