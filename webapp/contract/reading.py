"""The contract in the shape that its page shows: operations under their tags, references resolved, examples as text."""

from typing import Any

import simplejson

Json = dict[str, Any]


def chapters(document: Json) -> list[Json]:
    """One per tag."""
    operations = [
        _operation(document, method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return [
        {"name": tag["name"], "operations": [shown for shown in operations if tag["name"] in shown["tags"]]}
        for tag in document["tags"]
    ]


def _operation(document: Json, method: str, path: str, operation: Json) -> Json:
    return {
        **operation,
        "method": method.upper(),
        "path": path,
        "scopes": [scope for needed in operation["security"] for scopes in needed.values() for scope in scopes],
        "parameters": [_parameter(document, parameter) for parameter in operation["parameters"]],
        "body": _body(document, operation),
        "answers": [
            _answer(document, status, answer)
            for status, answer in operation["responses"].items()
            if "application/problem+json" not in answer.get("content", {})
        ],
        "problems": _problems(document, operation),
    }


def _parameter(document: Json, parameter: Json) -> Json:
    resolved = resolve(document, parameter)
    return {**resolved, "rule": rule(resolved["schema"])}


def _body(document: Json, operation: Json) -> Json | None:
    if "requestBody" not in operation:
        return None
    [content] = operation["requestBody"]["content"].values()
    fields = _fields(resolve(document, content["schema"]))
    return {"required": operation["requestBody"]["required"], "fields": fields, "example": _text(content["example"])}


def _fields(schema: Json) -> list[Json]:
    return [
        {"name": name, "description": field.get("description", ""), "rule": rule(field)}
        for name, field in schema.get("properties", {}).items()
    ]


def _answer(document: Json, status: str, answer: Json) -> Json:
    content = answer.get("content", {})
    example = next((part["example"] for part in content.values() if "example" in part), None)
    return {
        "status": status,
        "description": answer["description"],
        "media_types": list(content),
        "headers": [{"name": name, **resolve(document, header)} for name, header in answer.get("headers", {}).items()],
        "example": None if example is None else _text(example),
    }


def _problems(document: Json, operation: Json) -> list[Json]:
    return [
        {"status": status, "slug": slug, "title": resolve(document, example)["value"]["title"]}
        for status, answer in operation["responses"].items()
        for slug, example in answer.get("content", {}).get("application/problem+json", {}).get("examples", {}).items()
    ]


def resolve(document: Json, part: Json) -> Json:
    """The part itself, or what its `$ref` leads to."""
    if "$ref" not in part:
        return part
    found: Any = document
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return resolve(document, found)


def rule(schema: Json) -> str:
    """A schema in words: `integer, 1 to 200`."""
    words: list[str] = [" or ".join(schema["enum"]) if "enum" in schema else schema.get("format") or schema["type"]]
    if "exclusiveMinimum" in schema:
        words.append(f"above {schema['exclusiveMinimum']}")
    if "minimum" in schema:
        words.append(f"from {schema['minimum']}")
    if "maximum" in schema:
        words.append(f"to {schema['maximum']}")
    if "maxLength" in schema:
        words.append(f"at most {schema['maxLength']} characters")
    if "default" in schema:
        words.append(f"{schema['default']} if left out")
    return ", ".join(words)


def _text(example: object) -> str:
    return simplejson.dumps(example, use_decimal=True, ensure_ascii=False, indent=2)
