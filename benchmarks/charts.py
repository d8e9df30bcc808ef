"""Charts as SVG: the same figures give the same file, and it can be read on a light page and on a dark one."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from textwrap import fill
from typing import Any

from cycler import cycler
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from benchmarks.figures import Measured, Run, median_value
from benchmarks.report import number

GREY, RED = "#767c85", "#e0524d"  # these stand out from white and from black
OURS, BESIDE = "#7fb0ee", "#bcc3cc"  # and the grey stands out from these
COLOURS = ("#3b7dd8", "#d9702a", "#2f9e5b", "#9061d9", "#d6478f", "#8a7a5c", "#c79a1a", "#2aa3a3", RED)
WIDTH = 9.0  # inches
STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",  # text stays text, in a font of the reader's
    "svg.hashsalt": "orderlog",  # else every drawing has other ids
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "font.sans-serif": ["DejaVu Sans"],  # else every text names a dozen
    "font.size": 9,
    "legend.frameon": False,
    "text.color": GREY,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
}

Curve = Sequence[tuple[float, float]]


def bars(measured: Sequence[Measured]) -> str:
    """Per row, on a scale of its own, a bar for each side's median with a line from its least run to its greatest."""
    with rc_context(STYLE):
        figure = Figure((WIDTH, 1.5 * len(measured)), layout="constrained")
        for axes, each in zip(_panels(figure, len(measured)), measured, strict=True):
            target = f" (wanted {each.row.wanted}, {'reached' if each.reached else 'missed'})"
            title = f"{each.row.name}: {number(each.figure)}{target if each.row.has_target else ''}"
            axes.set_title(title, color=GREY if each.reached else RED)
            if each.beside:
                _bar(axes, each.row.beside, each.beside, BESIDE)
            _bar(axes, each.row.ours, each.ours, OURS)
            axes.set_xlabel(each.row.unit)
            axes.xaxis.set_major_formatter(lambda value, _: number(value))
            axes.locator_params(axis="x", nbins=5)
            axes.margins(x=0.2, y=0.12)
        return _svg(figure)


def _bar(axes: Axes, side: str, runs: Sequence[Run], colour: str) -> None:
    label, median = fill(side, 44), median_value(runs)
    least, greatest = (of(run.value for run in runs) for of in (min, max))
    axes.barh(label, median, color=colour, xerr=[[median - least], [greatest - median]], ecolor=GREY, capsize=3)
    axes.annotate(number(median), (greatest, label), (6, 0), textcoords="offset points", va="center")


def curves(panels: Mapping[str, Mapping[str, Curve]], across: str, *, sizes: bool = False) -> str:
    """Curves by panel, which is named by its unit, and by name; `across` names the x axis.

    With `sizes` each size that was measured has a mark, and all are as far apart as their logarithms."""
    with rc_context(STYLE):
        figure = Figure((WIDTH, 2.6 * len(panels)), layout="constrained")
        for axes, (unit, named) in zip(_panels(figure, len(panels)), panels.items(), strict=True):
            for name, curve in named.items():
                axes.plot(*zip(*curve, strict=True), label=name, marker="o" if sizes else "", markersize=3)
            _scale(axes, [point for curve in named.values() for point in curve], sizes=sizes)
            axes.set_xlabel(across)
            axes.set_ylabel(unit)
            if list(named) != [unit]:
                axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        return _svg(figure)


def _scale(axes: Axes, points: Curve, *, sizes: bool) -> None:
    """From nothing, or logarithmic where one curve would else lie on the floor."""
    values = [y for _, y in points]
    if sizes:
        axes.set_xscale("log")
        axes.set_xticks(sorted({x for x, _ in points}))
    if sizes and max(values) > 10 * min(values):
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, max(*values, 0.001) * 1.05)
    axes.minorticks_off()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: number(value))


def _panels(figure: Figure, rows: int) -> Sequence[Axes]:
    """One below the other."""
    return [figure.add_subplot(rows, 1, row) for row in range(1, rows + 1)]


def _svg(figure: Figure) -> str:
    drawn = BytesIO()
    figure.savefig(drawn, format="svg", transparent=True, metadata={"Creator": None, "Date": None})
    return drawn.getvalue().decode()
