"""The contract is what the service does: the same operations, limits and problems, and it is what is checked in."""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema_rs import ValidationError
from pydantic import BaseModel

from core.orders import values
from tests.support.calls import BEFORE, COMMAND_OPERATIONS, COMMANDS, read
from tests.support.contract import CONTRACT, check_schema
from webapp import console
from webapp.api.operation import NO_OPERATION, SERVICE
from webapp.contract import pages
from webapp.contract.__main__ import CHECKED_IN, contract_text
from webapp.contract.reading import resolve
from webapp.gate.auth import OPEN
from webapp.operations import OPERATIONS
from webapp.problems.catalogue import PROBLEMS


def test_it_is_what_is_checked_in() -> None:
    assert CHECKED_IN.read_text() == contract_text(), "write it down with `make contract`, and review its diff"


def test_it_is_served_as_openapi_3_1_with_exact_numbers(client: FlaskClient) -> None:
    served = read(client.get("/openapi.json"))

    assert served["openapi"] == "3.1.0"
    assert served["components"]["schemas"]["PlaceOrderBody"]["properties"]["total_amount"]["maximum"] == Decimal(
        "999999999999.99"
    )


def test_its_version_is_that_of_the_project(project_root: Path) -> None:
    assert (
        tomllib.loads((project_root / "pyproject.toml").read_text())["project"]["version"]
        == CONTRACT["info"]["version"]
    )


def test_every_route_is_an_operation_but_the_style_sheet_and_the_console(app: Flask) -> None:
    endpoints = [rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint not in console.NEEDED]

    assert sorted(endpoints) == sorted([*(operation.name for operation in OPERATIONS), pages.STYLE_SHEET])


def test_it_names_the_scope_of_each_operation() -> None:
    for operation in OPERATIONS:
        described = CONTRACT["paths"][operation.path][operation.method]
        assert described["operationId"] == operation.name
        assert described["security"] == ([] if operation.scope == OPEN else [{"apiKey": [operation.scope]}])


def test_only_what_is_about_the_service_is_open() -> None:
    assert {operation.tag for operation in OPERATIONS if operation.scope == OPEN} == {SERVICE}
    assert SERVICE not in {operation.tag for operation in OPERATIONS if operation.scope != OPEN}


def test_what_follows_leads_from_placing_to_every_command() -> None:
    assert {name for operation in OPERATIONS for name in operation.follows} <= {each.name for each in OPERATIONS}
    assert set(BEFORE) == set(COMMANDS)


def test_what_some_problems_of_a_status_have_is_not_required_of_all() -> None:
    responses = CONTRACT["paths"]["/orders"]["get"]["responses"]

    def required(status: str, name: str) -> bool:
        return bool(resolve(CONTRACT, responses[status]["headers"][name])["required"])

    assert required("401", "WWW-Authenticate")
    assert not required("403", "WWW-Authenticate")  # without keys, others are told nothing of them
    assert required("429", "RateLimit-Limit")


def test_each_problem_answers_some_request() -> None:
    answered = {problem for operation in OPERATIONS for problem in operation.every_problem} | {*NO_OPERATION}

    assert set(PROBLEMS.values()) == answered


def test_each_example_keeps_to_its_schema() -> None:
    for path, methods in CONTRACT["paths"].items():
        for method, operation in methods.items():
            examples = list(examples_of(operation))
            assert examples, (method, path)
            for example, schema in examples:
                check_schema(example, schema)


def examples_of(operation: dict[str, Any]) -> Any:
    for parameter in (resolve(CONTRACT, each) for each in operation["parameters"]):
        if "example" in parameter:
            yield parameter["example"], parameter["schema"]
    contents = [*operation.get("requestBody", {}).get("content", {}).values()]
    for answer in operation["responses"].values():
        contents += answer.get("content", {}).values()
        for header in (resolve(CONTRACT, each) for each in answer["headers"].values()):
            yield header["example"], header["schema"]
    for content in contents:
        if "example" in content:
            yield content["example"], content["schema"]
        for example in content.get("examples", {}).values():
            yield resolve(CONTRACT, example)["value"], content["schema"]


# The limits: each value beside the limit is judged by the schema as it is by the domain.

LONG = "名" * (values.REASON_LENGTH + 1)
NAMES = ["", " ", "\u3000", "\x07", "\u200b", "a\x00", "a", " a ", "山田太郎", 5, None, LONG]
NAMES += ["名" * length for length in (values.NAME_LENGTH, values.NAME_LENGTH + 1)]
TEXTS = [*NAMES, *("名" * length for length in (values.TRACKING_NUMBER_LENGTH, values.TRACKING_NUMBER_LENGTH + 1))]
TEXTS += ["名" * values.REASON_LENGTH]
AMOUNTS = [0, -1, 1, Decimal("0.01"), Decimal("0.001"), Decimal("-0.01"), True, "1", None]
AMOUNTS += [values.LARGEST_AMOUNT, values.LARGEST_AMOUNT + Decimal("0.01"), Decimal("123456789012.37")]
QUANTITIES = [0, 1, -1, Decimal("1.5"), Decimal("2.0"), values.LARGEST_QUANTITY, values.LARGEST_QUANTITY + 1, "1", True]


FIELDS = [
    (command, field)
    for command, operation in COMMAND_OPERATIONS.items()
    for field in (operation.body.model_fields if operation.body else ())
]


@pytest.mark.parametrize(("command", "field"), FIELDS)
def test_a_schema_allows_what_the_domain_allows(command: str, field: str) -> None:
    operation = COMMAND_OPERATIONS[command]
    assert operation.body is not None
    for value in [*TEXTS, *AMOUNTS, *QUANTITIES]:
        body = {**operation.example, field: value}
        assert allows_schema(operation.body, body) is allows_domain(operation.body, body), value


def allows_schema(model: type[BaseModel], body: dict[str, object]) -> bool:
    try:
        check_schema(body, {"$ref": f"#/components/schemas/{model.__name__}"})
    except ValidationError:
        return False
    return True


def allows_domain(model: type[BaseModel], body: dict[str, object]) -> bool:
    try:
        model.model_validate(body)
    except ValueError:
        return False
    return True
