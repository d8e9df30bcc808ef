"""The schemas of the contract, made from the models of requests, answers and problems by pydantic's own generator."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from webapp.api.operation import NO_OPERATION, Operation
from webapp.problems.problem import Problem

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{model}"


class Generator(GenerateJsonSchema):
    """Leaves out titles of fields, and the ending that tells the model of an answer from a class of core."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def get_title_from_name(self, name: str) -> str:
        return name

    def normalize_name(self, name: str) -> str:
        return super().normalize_name(name).removesuffix("Answer")


def schema_name(model: type[BaseModel]) -> str:
    return model.__name__.removesuffix("Answer")


def reference(name: str) -> Schema:
    return {"$ref": REFERENCE.format(model=name)}


def component_schemas(operations: tuple[Operation, ...]) -> dict[str, Schema]:
    """By name, in alphabetical order."""
    _, generated = models_json_schema([*_models(operations)], ref_template=REFERENCE, schema_generator=Generator)
    schemas: dict[str, Schema] = generated["$defs"]
    every_problem = {problem for operation in operations for problem in operation.every_problem} | {*NO_OPERATION}
    documents = {problem_name(problem): _of_type(problem, schemas) for problem in every_problem}
    bases = {problem.model.__name__ for problem in every_problem}
    kept = {name: {**schema, "title": name} for name, schema in schemas.items() if name not in bases}
    return dict(sorted((kept | documents).items()))


def query_parameters(model: type[BaseModel]) -> Iterator[Schema]:
    """One per field. A query has no null: leaving a parameter out says it."""
    schema = model.model_json_schema(schema_generator=Generator)
    for name, field in schema["properties"].items():
        of_value = next(iter(field.get("anyOf", [field])))
        examples = of_value.get("examples", [])
        yield {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", []),
            "description": of_value["description"],
            "schema": _value_schema(of_value, field.get("default")),
            **({"example": examples[0]} if examples else {}),
        }


def problem_name(problem: Problem) -> str:
    """`order-not-found` is OrderNotFoundProblem."""
    return "".join(word.capitalize() for word in problem.slug.split("-")) + "Problem"


def _value_schema(schema: Schema, default: object) -> Schema:
    left_out = ("description", "examples", "default")
    kept = {name: value for name, value in schema.items() if name not in left_out}
    return kept if default is None else {**kept, "default": default}


def _models(operations: tuple[Operation, ...]) -> Iterator[tuple[type[BaseModel], Literal["validation"]]]:
    for operation in operations:
        if operation.body is not None:
            yield operation.body, "validation"
        for answer in operation.answers:
            if answer.model is not None:
                yield answer.model, "validation"
        for problem in operation.every_problem:
            yield problem.model, "validation"


def _of_type(problem: Problem, schemas: dict[str, Schema]) -> Schema:
    """The model's schema, for this one type."""
    general = schemas[problem.model.__name__]
    fixed = {
        "type": {"const": f"/problems/{problem.slug}", "type": "string"},
        "title": {"const": problem.title, "type": "string"},
        "status": {"const": problem.status, "type": "integer"},
    }
    return {**general, "title": problem_name(problem), "description": problem.meaning} | {
        "properties": general["properties"] | fixed
    }
