"""What was measured before: docs/bench.json, the figures that docs/measurements/bench.md shows."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.figures import Measured

CHANCE = 0.25
BASELINE = Path(__file__).resolve().parent.parent / "docs" / "bench.json"


def baseline(path: Path = BASELINE) -> Mapping[str, float]:
    """Figures by row; empty before the first ones are kept."""
    if not path.exists():
        return {}
    figures: dict[str, float] = json.loads(path.read_text())
    return figures


def is_worse(measured: Measured, before: Mapping[str, float]) -> bool:
    """Beyond what chance does on a machine that others use too."""
    was = before.get(measured.row.name)
    if was is None or not measured.row.has_target:
        return False
    if measured.row.at_least is not None:
        return measured.figure < was * (1 - CHANCE)
    return measured.figure > was * (1 + CHANCE)


def worse(measured: Iterable[Measured], before: Mapping[str, float]) -> list[str]:
    """The names of such rows."""
    return [each.row.name for each in measured if is_worse(each, before)]
