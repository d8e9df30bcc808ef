"""The result: a flat JSON object of the figures, and a Markdown table that hides nothing."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Measured, median_cpu, median_value

CHANCE = 0.25
BASELINE = Path(__file__).resolve().parent.parent / "docs" / "bench.json"  # the figures that were kept last
HEAD = ("row", "ours", "beside it", "figure", "of pairs", "wanted", "", "was", "CPU s ours", "CPU s beside")


def as_json(measured: Sequence[Measured]) -> str:
    return json.dumps({each.row.name: round(each.figure, 4) for each in measured}, indent=2) + "\n"


def as_markdown(measured: Sequence[Measured], settings: Mapping[str, str], before: Mapping[str, float]) -> str:
    """`before` are the figures to compare with, by row."""
    lines = [
        _line(HEAD),
        _line("---" for _ in HEAD),
        *(_line(_cells(each, before)) for each in measured),
        "",
        "Medians. The figure is the median of the pairs' ratios (ours / beside it), then the least and the greatest.",
        '"was" is the figure in docs/bench.json; worse: by more than a quarter of that.',
        "",
        *(f"- {name}: {value}" for name, value in settings.items()),
    ]
    missed = [each.row.name for each in measured if not each.reached]
    if missed:
        lines += ["", f"Missed: {', '.join(missed)}."]
    if names := worse(measured, before):
        lines += ["", f"Worse than before: {', '.join(names)}."]
    return "\n".join(lines) + "\n"


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


def number(value: float) -> str:
    """Three significant digits, thousands apart: 0.0123, 1.23, 123, 12,345."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _cells(each: Measured, before: Mapping[str, float]) -> Sequence[str]:
    row = each.row
    has_other = bool(each.beside)
    return (
        f"`{row.name}`",
        f"{row.ours}: {number(median_value(each.ours))} {row.unit}",
        f"{row.beside}: {number(median_value(each.beside))} {row.unit}" if has_other else "",
        number(each.figure),
        f"{number(each.spread.least)} to {number(each.spread.greatest)}",
        row.wanted,
        _verdict(each),
        _was(each, before),
        f"{median_cpu(each.ours):.2f}",
        f"{median_cpu(each.beside):.2f}" if has_other else "",
    )


def _verdict(each: Measured) -> str:
    if not each.row.has_target:
        return ""
    return "reached" if each.reached else "**MISSED**"


def _was(each: Measured, before: Mapping[str, float]) -> str:
    if each.row.name not in before:
        return ""
    return number(before[each.row.name]) + (", **WORSE**" if is_worse(each, before) else "")


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
