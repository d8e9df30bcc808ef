"""What a client should do about each problem, with an example: for the problem's page and for the contract."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webapp.contract.examples import ORDER_ID
from webapp.problems import catalogue as problems
from webapp.problems.catalogue import Problem


@dataclass(frozen=True, slots=True)
class Explanation:
    """`detail` and `members` are those of the example."""

    what_to_do: str
    detail: str
    members: Mapping[str, Any] = field(default_factory=dict)


EXPLANATIONS: Mapping[Problem, Explanation] = {
    problems.NOT_JSON: Explanation(
        "Mend the body; the detail says at which line and column it stops being JSON.",
        "The body is not JSON: Expecting value at line 1 column 1.",
    ),
    problems.BAD_REQUEST: Explanation(
        "Look at what is between the client and the service: the request arrived cut off or garbled.",
        problems.BAD_REQUEST.meaning,
    ),
    problems.INVALID_HEADER: Explanation(
        "Mend the header that the detail names. Nothing was stored.",
        "Idempotency-Key must be 1 to 255 visible ASCII characters, such as a UUID.",
    ),
    problems.KEY_REQUIRED: Explanation(
        "Send a key, or ask the people who run the service for a new one: they make it with `flask api-keys create`.",
        "Send an API key: Authorization: Bearer ol_<id>_<secret>.",
    ),
    problems.SCOPE_REQUIRED: Explanation(
        "Use a key that has the scope; keys are not changed afterwards.",
        "The key has not the scope orders:write.",
        {"needed_scope": "orders:write"},
    ),
    problems.ONLY_FOR_THIS_MACHINE: Explanation(
        "Call from the same machine and past no proxy, or run the service with API keys.",
        "This service asks for no keys, and so answers only programs on its own machine.",
    ),
    problems.NOT_FOUND: Explanation(
        "Compare the path with /docs. An order's id has 1 to 64 letters, digits, '-', '.', '_' or '~'.",
        problems.NOT_FOUND.meaning,
    ),
    problems.ORDER_NOT_FOUND: Explanation(
        "Check the id: it is the order_id that placing the order answered.",
        "There is no order 'ORDER-404'.",
    ),
    problems.METHOD_NOT_ALLOWED: Explanation(
        "Use one of the methods that the Allow header lists.", problems.METHOD_NOT_ALLOWED.meaning
    ),
    problems.REFUSED_BY_STATUS: Explanation(
        "Look at the order, and decide again: sending the same command is vain until its state changes.",
        f"Order {ORDER_ID} is shipped; only a pending or confirmed order can be cancelled.",
        {"order_status": "shipped"},
    ),
    problems.ORDER_ALREADY_PLACED: Explanation(
        "Look at the order under this id; it may be your own, placed before.",
        f"Order {ORDER_ID} has already been placed; place the new order under another id.",
    ),
    problems.CONCURRENT_CHANGE: Explanation(
        "Send the command again after a short, random pause, with the same Idempotency-Key.",
        f"Order {ORDER_ID} was changed by others at the same time.",
    ),
    problems.NO_SUCH_VERSION: Explanation(
        "Ask for a version from 1 to latest_version.",
        f"Order {ORDER_ID} has the versions 1 to 2, and no version 9.",
        {"latest_version": 2},
    ),
    problems.NOT_PLACED_YET: Explanation(
        "Ask for a later time; the detail says when the order was placed.",
        f"Order {ORDER_ID} was placed at 2026-01-31T09:00:00+00:00; before that there was none.",
    ),
    problems.ORDER_HAS_MOVED_ON: Explanation(
        "Read the order again, decide again, and send the new ETag in If-Match.",
        f"Order {ORDER_ID} is at version 3.",
        {"version": 3},
    ),
    problems.TOO_LARGE: Explanation("Send less; no command needs that much.", problems.TOO_LARGE.meaning),
    problems.UNSUPPORTED: Explanation(
        "Add the header Content-Type: application/json to the request.", problems.UNSUPPORTED.meaning
    ),
    problems.INVALID: Explanation(
        "Mend every value that errors lists, and send the request again. Nothing was stored.",
        "1 value is wrong; see errors.",
        {"errors": [{"pointer": "#/customer_name", "detail": "must not be blank"}]},
    ),
    problems.KEY_REUSED: Explanation(
        "Make a new key for each new request, and keep a key only for sending the same request again.",
        problems.KEY_REUSED.meaning,
    ),
    problems.TOO_MANY_REQUESTS: Explanation(
        "Wait for Retry-After seconds, and send fewer requests at a time.", problems.TOO_MANY_REQUESTS.meaning
    ),
    problems.INTERNAL: Explanation(
        "Report it with the X-Request-Id of the answer. A command may be sent again with the same Idempotency-Key.",
        "The service failed on this request; nothing more can be said here.",
    ),
    problems.DATABASE_AWAY: Explanation(
        "Send the request again after Retry-After seconds; a command with the same Idempotency-Key, so that it is not"
        " done twice.",
        "The database does not answer; try again.",
    ),
    problems.DATABASE_BUSY: Explanation(
        "Send the request again after Retry-After seconds; a command with the same Idempotency-Key.",
        "The database is too busy; try again.",
    ),
    problems.EVENT_UNKNOWN: Explanation(
        "While a new release is being rolled out, ask again after Retry-After seconds; otherwise the people who run the"
        " service have to bring it up to date.",
        "This release cannot read events of type 'OrderRefunded', schema version 1.",
    ),
    problems.NOT_READY: Explanation(
        "Start PostgreSQL, or run `flask db upgrade`; `checks` says which. A proxy sends requests elsewhere meanwhile.",
        "PostgreSQL does not answer",
        {"checks": {"postgresql": "PostgreSQL does not answer", "redis": "ok"}},
    ),
    problems.READ_MODEL_BEHIND: Explanation(
        "Ask again after Retry-After seconds, or ask with Prefer: wait=5. The command that was stored needs no retry.",
        f"Order {ORDER_ID} is stored but shown at version 1 only.",
        {"version": 1},
    ),
}


def example(problem: Problem) -> dict[str, Any]:
    """A problem document of this type."""
    explanation = EXPLANATIONS[problem]
    return {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": explanation.detail,
        **explanation.members,
    }
