"""Which changes of the contract break clients: requests that would be refused now, answers that they do not know."""

from collections.abc import Iterator
from typing import Any

from webapp.contract.narrowing import narrowed
from webapp.contract.reading import resolve

Json = dict[str, Any]


def breaking_changes(old: Json, new: Json) -> list[str]:
    """One sentence each, of contracts before and after."""
    return [
        f"{method.upper()} {path}: {change}"
        for path, methods in old["paths"].items()
        for method, operation in methods.items()
        for change in _operation(old, operation, new, new["paths"].get(path, {}).get(method))
    ]


def _operation(old_document: Json, old: Json, new_document: Json, new: Json | None) -> Iterator[str]:
    if new is None:
        yield "the operation is gone"
        return
    if old["operationId"] != new["operationId"]:
        yield f"it is now called {new['operationId']}, not {old['operationId']}"
    if old["security"] != new["security"]:
        yield f"it now needs {new['security']}, not {old['security']}"
    before, after = _inputs(old_document, old), _inputs(new_document, new)
    for name in before.keys() - after:
        yield f"{name} is gone"
    for name, part in after.items():
        if part["required"] and not before.get(name, {"required": False})["required"]:
            yield f"{name} is now required"
        if name in before:
            old_schema, new_schema = (old_document, before[name]["schema"]), (new_document, part["schema"])
            yield from narrowed(name, old_schema, new_schema)
    yield from _answers(old_document, old["responses"], new_document, new["responses"])


def _inputs(document: Json, operation: Json) -> dict[str, Json]:
    """The parameters and the body of an operation, by what to call them."""
    parameters = [resolve(document, parameter) for parameter in operation["parameters"]]
    inputs = {f"{each['in']} parameter {each['name']}": {"required": False, **each} for each in parameters}
    if "requestBody" in operation:
        body = operation["requestBody"]
        [content] = body["content"].values()
        inputs["the body"] = {"required": body["required"], "schema": content["schema"]}
    return inputs


def _answers(old_document: Json, old: Json, new_document: Json, new: Json) -> Iterator[str]:
    for status, answer in old.items():
        if status not in new:
            yield f"answer {status} is gone"
            continue
        for name in answer["headers"].keys() - new[status]["headers"]:
            yield f"answer {status} has no {name} any more"
        for media_type, content in answer.get("content", {}).items():
            after = new[status].get("content", {}).get(media_type)
            if after is None:
                yield f"answer {status} is not {media_type} any more"
                continue
            # What the new answer may say, the old schema must allow.
            yield from narrowed(f"answer {status}", (new_document, after["schema"]), (old_document, content["schema"]))
