"""Where to start, the contract (`/openapi.json`, for people `/docs`), and a page about each type of problem."""

from functools import cache
from pathlib import Path

from flask import Response, current_app, render_template
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from werkzeug.exceptions import NotFound

from webapp.api.headers import best_answer
from webapp.api.operation import Answer, Operation
from webapp.contract.document import document
from webapp.contract.reading import resolve, rule
from webapp.gate.auth import OPEN
from webapp.problems.catalogue import PROBLEMS

OPERATIONS_SHOWN = "orderlog-operations"
CONSOLE = "/console"
STYLE_SHEET = "style_sheet"  # the endpoint: a part of the pages, and no operation

# Scripts may come from here alone, and there are none.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)


class Start(BaseModel):
    """`links` has the path of each operation that needs neither a body nor an id, by its operationId; and the console,
    which is for people."""

    links: dict[str, str]


def show_start() -> ResponseReturnValue:
    """A page for browsers, JSON for everyone else."""
    operations = {operation.name: operation for operation in current_app.extensions[OPERATIONS_SHOWN]}
    if best_answer("application/json", "text/html") == "text/html":
        info = document(current_app.extensions[OPERATIONS_SHOWN])["info"]
        example = current_app.json.dumps(operations["place_order"].example)
        answer = _page(render_template("start.html", info=info, example=example, console=CONSOLE))
    else:
        pages = [page for page in operations.values() if page.method == "get" and page.needs_no_value]
        links = {page.name: page.path for page in pages} | {"console": CONSOLE}
        answer = Response(current_app.json.dumps({"links": links}), content_type="application/json")
    answer.vary.add("Accept")
    return answer


def show_contract() -> ResponseReturnValue:
    return Response(_contract(current_app.extensions[OPERATIONS_SHOWN]), content_type="application/json")


def show_docs() -> ResponseReturnValue:
    return _page(_docs(current_app.extensions[OPERATIONS_SHOWN]))


# Nobody needs a key for these, and they take milliseconds to write.


@cache
def _contract(operations: tuple[Operation, ...]) -> str:
    return current_app.json.dumps(document(operations))


@cache
def _docs(operations: tuple[Operation, ...]) -> str:
    shown = document(operations)
    return render_template("docs.html", document=shown, resolve=resolve, rule=rule, json=current_app.json.dumps)


def style_sheet() -> ResponseReturnValue:
    return Response((Path(__file__).parent / "assets" / "page.css").read_text(), mimetype="text/css")


def explain_problem(slug: str) -> ResponseReturnValue:
    """A page for browsers, plain text for everyone else."""
    problem = PROBLEMS.get(slug)
    if problem is None:
        raise NotFound
    example = current_app.json.dumps(problem.document(problem.example), indent=2)
    if best_answer("text/plain", "text/html") == "text/html":
        answer = _page(render_template("problem.html", problem=problem, example=example))
    else:
        answer = Response(render_template("problem.txt", problem=problem, example=example), mimetype="text/plain")
    answer.vary.add("Accept")
    return answer


def _page(text: str) -> Response:
    return Response(text, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY}, mimetype="text/html")


OPERATIONS = (
    Operation(
        path="/",
        view=show_start,
        scope=OPEN,
        summary="Where to start",
        answers=(
            Answer(
                description="Links, or a page.",
                model=Start,
                media_types=("application/json", "text/html"),
                example={"links": {"list_orders": "/orders", "show_docs": "/docs", "console": CONSOLE}},
            ),
        ),
    ),
    Operation(
        path="/openapi.json",
        view=show_contract,
        scope=OPEN,
        summary="This contract",
        answers=(Answer(description="OpenAPI 3.1."),),
    ),
    Operation(
        path="/docs",
        view=show_docs,
        scope=OPEN,
        summary="This contract, for people",
        answers=(Answer(description="A page.", media_types=("text/html",)),),
    ),
    Operation(
        path="/problems/{slug}",
        in_path={
            "slug": {
                "description": "The end of a problem's type.",
                "schema": {"type": "string", "pattern": "^[a-z0-9-]+$"},
                "example": "order-not-found",
            }
        },
        view=explain_problem,
        scope=OPEN,
        summary="What a problem's type means, and what to do",
        answers=(Answer(description="A page, or plain text.", media_types=("text/plain", "text/html")),),
    ),
)
