"""Whether one JSON Schema allows all that another does; for the keywords that the contract uses."""

from collections.abc import Iterator
from typing import Any

from webapp.contract.reading import resolve

Json = dict[str, Any]
InDocument = tuple[Json, Json]  # a document, and a schema whose references lead into it

LOWER_LIMITS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER_LIMITS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
EXACT = ("type", "format", "pattern", "multipleOf", "const")


def narrowed(what: str, wide: InDocument, narrow: InDocument) -> Iterator[str]:
    """One sentence for each thing that `wide` allows and `narrow` does not."""
    (wide_document, old), (narrow_document, new) = wide, narrow
    old, new = resolve(wide_document, old), resolve(narrow_document, new)
    yield from _values(what, old, new)
    yield from _members(what, (wide_document, old), (narrow_document, new))
    if "items" in old and "items" in new:
        yield from narrowed(f"{what}, its items", (wide_document, old["items"]), (narrow_document, new["items"]))
    if _is_choice(old) or _is_choice(new):
        yield from _choices(what, (wide_document, old), (narrow_document, new))


def _values(what: str, old: Json, new: Json) -> Iterator[str]:
    for keyword in EXACT:
        if keyword in new and old.get(keyword) != new[keyword]:
            yield f"{what}: {keyword} {old.get(keyword)} meets {new[keyword]}"
    for keyword in LOWER_LIMITS:
        if keyword in new and (keyword not in old or old[keyword] < new[keyword]):
            yield f"{what}: {keyword} {old.get(keyword)} meets {new[keyword]}"
    for keyword in UPPER_LIMITS:
        if keyword in new and (keyword not in old or old[keyword] > new[keyword]):
            yield f"{what}: {keyword} {old.get(keyword)} meets {new[keyword]}"
    if "enum" in new and not set(old.get("enum", [None])) <= set(new["enum"]):
        yield f"{what}: {old.get('enum')} meets {new['enum']}"


def _members(what: str, wide: InDocument, narrow: InDocument) -> Iterator[str]:
    (wide_document, old), (narrow_document, new) = wide, narrow
    for name in sorted(set(new.get("required", [])) - set(old.get("required", []))):
        yield f"{what}: {name} is required on one side only"
    old_members, new_members = old.get("properties", {}), new.get("properties", {})
    if new.get("additionalProperties") is False:
        yield from (f"{what}: {name} is known on one side only" for name in old_members if name not in new_members)
    for name in (name for name in old_members if name in new_members):
        yield from narrowed(f"{what}/{name}", (wide_document, old_members[name]), (narrow_document, new_members[name]))


def _is_choice(schema: Json) -> bool:
    return "anyOf" in schema or "oneOf" in schema


def _choices(what: str, wide: InDocument, narrow: InDocument) -> Iterator[str]:
    """Each choice of the one must be within a choice of the other."""
    for choice in _choices_of(wide[1]):
        faults = [[*narrowed(what, (wide[0], choice), (narrow[0], other))] for other in _choices_of(narrow[1])]
        if all(faults):
            yield f"{what}: {choice.get('$ref', choice.get('type'))} is a choice on one side only"


def _choices_of(schema: Json) -> list[Json]:
    choices: list[Json] = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return choices
