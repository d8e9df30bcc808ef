"""Curves as SVG: one panel below the other, each with a scale of its own."""

from collections.abc import Mapping, Sequence
from math import log10

from benchmarks.report import number
from benchmarks.svg import page, words

WIDTH, HEIGHT = 900, 260  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 70, 180, 34, 34
COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b83280", "#4a5568", "#d69e2e", "#319795", "#e53e3e")

Curve = Sequence[tuple[float, float]]


def as_svg(panels: Mapping[str, Mapping[str, Curve]], across: str, *, logarithmic: bool = False) -> str:
    """`panels` by title, their curves by name; `across` says what the x axis is. Logarithmic in both directions."""
    parts: list[str] = []
    for place, (title, curves) in enumerate(panels.items()):
        parts += Panel(curves, HEIGHT * place, logarithmic).drawn(title, across)
    return page(WIDTH, HEIGHT * len(panels), parts)


class Panel:
    def __init__(self, curves: Mapping[str, Curve], top: float, logarithmic: bool) -> None:
        self._curves = curves
        self._top = top
        self._scale = log10 if logarithmic else float
        points = [point for curve in curves.values() for point in curve]
        self._least_x, self._most_x = min(x for x, _ in points), max(x for x, _ in points)
        self._least_y = min(y for _, y in points) if logarithmic else 0.0
        self._most_y = max(y for _, y in points)

    def drawn(self, title: str, across: str) -> list[str]:
        floor = self._top + HEIGHT - BOTTOM
        parts = [
            words(10, self._top + 20, title),
            f'<path d="M{LEFT} {self._top + TOP}V{floor}H{WIDTH - RIGHT}" fill="none" stroke="#4a5568"/>',
            words(LEFT - 6, floor, number(self._least_y), anchor="end"),
            words(LEFT - 6, self._top + TOP + 5, number(self._most_y), anchor="end"),
            words(LEFT, floor + 18, number(self._least_x)),
            words(WIDTH - RIGHT, floor + 18, f"{number(self._most_x)} {across}", anchor="end"),
        ]
        for place, (name, curve) in enumerate(self._curves.items()):
            colour = COLOURS[place % len(COLOURS)]
            drawn = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in curve)
            parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            parts.append(words(WIDTH - RIGHT + 10, self._top + TOP + 10 + 18 * place, name, colour=colour))
        return parts

    def _x(self, value: float) -> float:
        return LEFT + self._part(value, self._least_x, self._most_x) * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        return self._top + HEIGHT - BOTTOM - self._part(value, self._least_y, self._most_y) * (HEIGHT - TOP - BOTTOM)

    def _part(self, value: float, least: float, most: float) -> float:
        if most <= least:
            return 0.0
        return (self._scale(value) - self._scale(least)) / (self._scale(most) - self._scale(least))
