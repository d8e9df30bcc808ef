"""The contract over HTTP: `/openapi.json`, a page for people at `/docs`, and a page about each type of problem."""

from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from webapp.contract.document import document
from webapp.contract.reading import chapters
from webapp.problems.catalogue import PROBLEMS
from webapp.problems.problem import Problem

bp = Blueprint("contract", __name__, template_folder="templates")

STYLE_SHEET = Path(__file__).parent / "assets" / "page.css"

# Scripts may come from here alone, and there are none.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)


def init_app(app: Flask) -> None:
    app.register_blueprint(bp)
    app.add_url_rule("/problems/<slug>", "problem", explain)


@bp.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    return Response(current_app.json.dumps(document()), content_type="application/json")


@bp.get("/docs")
def docs() -> ResponseReturnValue:
    return _page(render_template("docs.html", info=document()["info"], chapters=chapters(document())))


@bp.get("/docs/page.css")
def style_sheet() -> ResponseReturnValue:
    return Response(STYLE_SHEET.read_text(), mimetype="text/css")


def explain(slug: str) -> ResponseReturnValue:
    """A page for browsers, plain text for everyone else."""
    problem = PROBLEMS.get(slug)
    if problem is None:
        raise NotFound
    shown = {
        "problem": problem,
        "example": current_app.json.dumps(problem.document(problem.example), indent=2),
    }
    accepted = request.accept_mimetypes.best_match(["text/plain", "text/html"])
    answer = _page(render_template("problem.html", **shown)) if accepted == "text/html" else _text(problem, shown)
    answer.vary.add("Accept")
    return answer


def _page(html: str) -> Response:
    return Response(html, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY}, mimetype="text/html")


def _text(problem: Problem, shown: dict[str, object]) -> Response:
    text = "\n\n".join(
        (
            f"{problem.title} ({problem.status})",
            problem.meaning,
            f"What to do: {problem.what_to_do}",
            f"Example:\n{shown['example']}\n",
        )
    )
    return Response(text, content_type="text/plain; charset=utf-8")
