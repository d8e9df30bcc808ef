"""A group's bars as SVG: ours above what is beside it, on a scale per row, with the least and the greatest run."""

from collections.abc import Sequence

from benchmarks.figures import Measured, Run, median_value
from benchmarks.report import number
from benchmarks.svg import page, words

WIDTH, BARS_AT, BARS_WIDTH = 960, 380, 430
ROW_HEIGHT, BAR_HEIGHT, TITLE_HEIGHT = 82, 18, 40
OURS, BESIDE, MISSED = "#2b6cb0", "#a0aec0", "#c53030"


def as_svg(group: str, measured: Sequence[Measured]) -> str:
    parts = [words(10, 25, f"make bench ONLY={group}", size=16)]
    for place, each in enumerate(measured):
        parts += _row(TITLE_HEIGHT + place * ROW_HEIGHT, each)
    return page(WIDTH, TITLE_HEIGHT + ROW_HEIGHT * len(measured), parts)


def _row(top: int, each: Measured) -> list[str]:
    longest = max(run.value for run in (*each.ours, *each.beside))
    title = f"{each.row.name}: {number(each.figure)}"
    if each.row.has_target:
        title += f" (wanted {each.row.wanted}, {'reached' if each.reached else 'missed'})"
    parts = [words(10, top + 14, title, size=13, colour="black" if each.reached else MISSED)]
    parts += _bar(top + 22, f"{each.row.ours}", each.row.unit, each.ours, longest, OURS)
    if each.beside:
        parts += _bar(top + 44, each.row.beside, each.row.unit, each.beside, longest, BESIDE)
    return parts


def _bar(top: int, label: str, unit: str, runs: Sequence[Run], longest: float, colour: str) -> list[str]:
    def across(value: float) -> float:
        return round(BARS_AT + BARS_WIDTH * value / longest, 1)

    end, middle = across(median_value(runs)), top + BAR_HEIGHT / 2
    least, greatest = (across(of(run.value for run in runs)) for of in (min, max))
    return [
        words(BARS_AT - 8, top + 13, label, anchor="end"),
        f'<rect x="{BARS_AT}" y="{top}" width="{end - BARS_AT:.1f}" height="{BAR_HEIGHT}" fill="{colour}"/>',
        f'<path d="M{least} {middle}H{greatest}M{least} {middle - 4}v8M{greatest} {middle - 4}v8" stroke="black"/>',
        words(max(end, greatest) + 6, top + 13, f"{number(median_value(runs))} {unit}"),
    ]
