"""How a person reads the contract: references resolved, and schemas in words."""

from typing import Any

from webapp.api.fields import JsonSchema


def resolve(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """The part itself, or the one that its `$ref` leads to."""
    if "$ref" not in part:
        return part
    target: Any = document
    for step in part["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return resolve(document, target)


def rule(schema: JsonSchema) -> str:
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
