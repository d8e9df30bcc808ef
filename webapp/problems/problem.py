"""What a problem is, and the typed models of problem documents (RFC 9457), for the contract."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from core.api_keys import Scope
from core.orders.order import Status
from core.safe_errors import is_ours
from webapp.api.fields import Version


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


class WithMaxItems(ProblemDocument):
    max_items: Annotated[int, Field(ge=1)]


class WithLatestVersion(ProblemDocument):
    latest_version: Version


class WithLatestPosition(ProblemDocument):
    """`latest_position` is 0 while the log is empty."""

    latest_position: Annotated[int, Field(ge=0)]


class WithVersion(ProblemDocument):
    version: Version


class WithNeededScope(ProblemDocument):
    needed_scope: Scope


class WithWhatIsShown(ProblemDocument):
    """How far an order is shown (`version`), or the list and the statistics (`position`); 0 for not at all."""

    version: Annotated[int, Field(ge=0)] = 0
    position: Annotated[int, Field(ge=0)] = 0


class WithChecks(ProblemDocument):
    """`checks` says what is wrong, or "ok"."""

    checks: dict[str, str]


def nothing_more(_: Exception) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """One kind of error answer: `slug` is the end of its type, "/problems/<slug>", which never changes.

    Errors of the class of `example` become it, and those of `others`. `members` and `headers` are made from the error;
    `model` is the document's with these members. `detail` is told instead of what the error says."""

    slug: str
    status: int
    title: str
    meaning: str
    what_to_do: str
    example: Exception
    others: tuple[type[Exception], ...] = ()
    detail: str = ""
    model: type[ProblemDocument] = ProblemDocument
    members: Callable[[Any], Mapping[str, Any]] = nothing_more
    headers: Callable[[Any], Mapping[str, str]] = nothing_more

    def document(self, error: Exception) -> dict[str, Any]:
        """Its detail is the message of our own error; a library's message is not for clients."""
        said = str(error) if is_ours(error) else ""
        return {
            "type": f"/problems/{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail or said or self.meaning,
            **self.members(error),
        }
