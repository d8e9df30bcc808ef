"""How two views of an order differ, field by field."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that does not hold what the events say; `field` is "row" where a whole row is missing or too many."""

    projector: str
    order_id: str
    field: str
    stored: object
    expected: object


def fields_that_differ(name: str, stored: Any | None, expected: Any | None) -> list[Difference]:
    """Field by field; one for the whole row if there is none on one side."""
    if stored is None:
        return [Difference(name, expected.order_id, "row", "none", "there is one")] if expected is not None else []
    if expected is None:
        return [Difference(name, stored.order_id, "row", "there is one", "none")]
    left, right = _flat(stored), _flat(expected)
    return [
        Difference(name, stored.order_id, path, left.get(path), right.get(path))
        for path in sorted(left.keys() | right.keys())
        if left.get(path) != right.get(path)
    ]


def _flat(value: object, path: str = "") -> dict[str, object]:
    """{"items": [{"quantity": 2}]} as {"items.0.quantity": 2}; views and what they hold count as mappings."""
    parts = _parts(value)
    if parts is None:
        return {path: value}
    return {
        name: part
        for key, whole in parts.items()
        for name, part in _flat(whole, f"{path}.{key}" if path else str(key)).items()
    }


def _parts(value: object) -> Mapping[Any, object] | None:
    """By field, key or index; None for what has none."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, list | tuple):
        return dict(zip(getattr(value, "_fields", range(len(value))), value, strict=True))
    return value if isinstance(value, Mapping) else None
