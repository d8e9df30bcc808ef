"""The OpenAPI 3.1 document of the service, made from the table of operations and the models they name."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from core.api_keys import Scope
from webapp.api import header_fields
from webapp.api.headers import etag
from webapp.api.operation import Answer, Operation
from webapp.contract.schemas import component_schemas, problem_name, query_parameters, reference, schema_name
from webapp.gate.auth import OPEN
from webapp.problems.catalogue import PROBLEMS
from webapp.problems.problem import Problem

Json = dict[str, Any]

PROJECT = Path(__file__).parent.parent.parent / "pyproject.toml"  # the service is run where it lies, not installed

SECURITY_SCHEME = "apiKey"

DESCRIPTION = """\
An order service that keeps every change as an event. Amounts are JSON numbers with at most two decimal places, exact \
from the request to the database and back: read them as decimals, not as floats. Times are RFC 3339 in UTC. Every \
error is a problem document (RFC 9457) whose type leads to a page about it. New members may come to answers; ignore \
those you do not know."""


@cache
def document(operations: tuple[Operation, ...]) -> Json:
    parameters = {
        _component(name): {"name": name, "in": "header", **header}
        for name, header in header_fields.REQUEST_HEADERS.items()
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Orderlog",
            "version": tomllib.loads(PROJECT.read_text())["project"]["version"],
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": _paths(operations),
        "components": {
            "schemas": component_schemas(operations),
            "examples": {slug: {"value": problem.document(problem.example)} for slug, problem in PROBLEMS.items()},
            "parameters": parameters,
            "headers": header_fields.ANSWER_HEADERS,
            "securitySchemes": {SECURITY_SCHEME: _security_scheme()},
        },
    }


def _paths(operations: tuple[Operation, ...]) -> Json:
    paths: dict[str, Json] = {}
    links = {operation.name: _link(operation) for operation in operations}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, links)
    return paths


def _link(operation: Operation) -> Json:
    """How this operation can follow a command, with the order of its answer."""
    return {
        "operationId": operation.name,
        "parameters": {"order_id": "$response.body#/order_id", **operation.link},
    }


def _operation(operation: Operation, links: Json) -> Json:
    described: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [operation.tag],
        "security": [] if operation.scope == OPEN else [{SECURITY_SCHEME: [operation.scope]}],
        "parameters": _parameters(operation),
        "responses": _responses(operation, links),
    }
    if operation.body is not None:
        content = {"schema": reference(schema_name(operation.body)), "example": operation.example}
        described["requestBody"] = {"required": operation.body_required, "content": {"application/json": content}}
    return described


def _parameters(operation: Operation) -> list[Json]:
    in_path = [
        {"name": name, "in": "path", "required": True, **parameter} for name, parameter in operation.in_path.items()
    ]
    in_query = [] if operation.query is None else query_parameters(operation.query)
    in_headers = [{"$ref": f"#/components/parameters/{_component(name)}"} for name in operation.headers]
    return [*in_path, *in_query, *in_headers]


def _responses(operation: Operation, links: Json) -> Json:
    """By status, the good ones first."""
    responses: dict[str, Json] = {}
    for answer in operation.answers:
        responses[str(answer.status)] = _answer(answer)
        if answer.status < 300 and operation.follows:
            responses[str(answer.status)]["links"] = {name: links[name] for name in operation.follows}
    for status in sorted({problem.status for problem in operation.every_problem}):
        of_status = [problem for problem in operation.every_problem if problem.status == status]
        responses[str(status)] = _problems(of_status)
    return responses


def _answer(answer: Answer) -> Json:
    described: Json = {"description": answer.description, "headers": _answer_headers(answer)}
    if answer.media_types:
        described["content"] = {media_type: _content(answer, media_type) for media_type in answer.media_types}
    return described


def _content(answer: Answer, media_type: str) -> Json:
    if answer.batch_of is not None and media_type.endswith("batch+json"):
        return {"schema": {"type": "array", "items": reference(schema_name(answer.batch_of))}}
    if media_type != "application/json":
        return {"schema": {"type": "string"}}
    schema = {"type": "object"} if answer.model is None else reference(schema_name(answer.model))
    return {"schema": schema} if answer.example is None else {"schema": schema, "example": answer.example}


def _answer_headers(answer: Answer) -> Json:
    """The ETag's example is the version of the answer's example."""
    headers = _headers(answer.headers)
    if header_fields.ETAG in headers and isinstance(answer.example, Mapping):
        tag = etag(answer.example["version"])
        headers[header_fields.ETAG] = {**header_fields.ANSWER_HEADERS[header_fields.ETAG], "example": tag}
    return headers


def _problems(problems: list[Problem]) -> Json:
    """The answer of one status, which has one of these types."""
    schemas = [reference(problem_name(problem)) for problem in problems]
    return {
        "description": " Or: ".join(problem.title + "." for problem in problems),
        "headers": _problem_headers(problems),
        "content": {
            "application/problem+json": {
                "schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas},
                "examples": {problem.slug: {"$ref": f"#/components/examples/{problem.slug}"} for problem in problems},
            }
        },
    }


def _problem_headers(problems: list[Problem]) -> Json:
    """Those of any of these problems; a header that some of them lack is not required."""
    first, *others = ({*problem.headers(problem.example)} for problem in problems)
    of_any, of_all = first.union(*others), first.intersection(*others)
    optional = {name: {**header_fields.ANSWER_HEADERS[name], "required": False} for name in of_any - of_all}
    return {**_headers(tuple(sorted(of_any))), **optional}


def _headers(names: tuple[str, ...]) -> Json:
    every = (*names, header_fields.REQUEST_ID)
    return {name: {"$ref": f"#/components/headers/{name}"} for name in every}


def _component(header: str) -> str:
    return header.replace("-", "")


def _security_scheme() -> Json:
    scopes = f"`{Scope.ORDERS_READ}` to read, `{Scope.ORDERS_WRITE}` to send commands, `{Scope.EVENTS_READ}` to follow,"
    scopes += f" `{Scope.WEBHOOKS_MANAGE}` for webhooks; `{Scope.CONSOLE_OPERATE}` is for the console"
    return {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "ol_<id>_<secret>",
        "description": f"An API key with the scope of the operation: {scopes}. A service that listens on loopback only"
        " may run without keys.",
    }
