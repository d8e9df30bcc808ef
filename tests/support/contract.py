"""Holding answers to the contract: a client for tests that checks every answer it gets."""

from functools import cache
from typing import Any

import simplejson
from flask.testing import FlaskClient
from jsonschema_rs import Draft202012Validator
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from webapp.api.operation import NO_OPERATION, Operation
from webapp.contract.document import document
from webapp.contract.reading import resolve
from webapp.operations import OPERATIONS
from webapp.problems.catalogue import PROBLEMS

PROBLEM = "application/problem+json"
CONTRACT = document(OPERATIONS)
BY_ENDPOINT = {operation.name: operation for operation in OPERATIONS}


class ContractClient(FlaskClient):
    """Raises AssertionError where an answer is not one that the contract promises."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        answer = super().open(*args, **kwargs)
        endpoint = self._endpoint(answer)
        if answer.request.method != "OPTIONS" and (not endpoint or endpoint in BY_ENDPOINT):
            check(answer, BY_ENDPOINT.get(endpoint))
        return answer

    def _endpoint(self, answer: TestResponse) -> str:
        """Empty where no route has this path and method."""
        try:
            return str(self.application.url_map.bind_to_environ(answer.request.environ).match()[0])
        except HTTPException:
            return ""


def check(answer: TestResponse, operation: Operation | None) -> None:
    if answer.mimetype == PROBLEM:
        check_problem(answer, operation)
    else:
        assert operation is not None, f"{answer.request.path} is in no contract, and is answered {answer.status}"
        check_good(answer, operation)


def check_problem(answer: TestResponse, operation: Operation | None) -> None:
    problems = operation.every_problem if operation else NO_OPERATION
    body = simplejson.loads(answer.data, use_decimal=True) if answer.request.method != "HEAD" else None
    if body is not None:
        problem = PROBLEMS[body["type"].removeprefix("/problems/")]
        assert problem in problems, f"{problem.slug} is not in the contract of {operation}"
        problem.model.model_validate_json(answer.data, extra="forbid")
    if operation:
        check_promised(answer, operation, body)


def check_good(answer: TestResponse, operation: Operation) -> None:
    [promised] = [promised for promised in operation.answers if promised.status == answer.status_code]
    assert promised.media_types == () or answer.mimetype in promised.media_types
    body = None
    if promised.model and answer.mimetype == "application/json" and answer.request.method != "HEAD":
        promised.model.model_validate_json(answer.data, extra="forbid")
        body = simplejson.loads(answer.data, use_decimal=True)
    check_promised(answer, operation, body)


def check_promised(answer: TestResponse, operation: Operation, body: object) -> None:
    """The document itself, as clients read it: the headers and the schema of this status."""
    promised = CONTRACT["paths"][operation.path][operation.method]["responses"][str(answer.status_code)]
    for name, header in promised["headers"].items():
        described = resolve(CONTRACT, header)
        assert name in answer.headers or not described["required"], f"{name} is missing"
        if name in answer.headers:
            value: Any = answer.headers[name]
            check_schema(int(value) if described["schema"].get("type") == "integer" else value, described["schema"])
    if body is not None:
        check_schema(body, promised["content"][answer.mimetype]["schema"])


def check_schema(value: object, schema: dict[str, Any]) -> None:
    """Raises jsonschema_rs.ValidationError."""
    validator(simplejson.dumps(schema, use_decimal=True)).validate(value)


@cache
def validator(schema: str) -> Draft202012Validator:
    components = simplejson.dumps(CONTRACT["components"], use_decimal=True)
    return Draft202012Validator(f'{{"components": {components}, "allOf": [{schema}]}}')
