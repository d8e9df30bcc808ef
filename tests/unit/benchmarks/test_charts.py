"""The charts of what was measured."""

from xml.etree import ElementTree as ET

from benchmarks.charts import Curve, bars, curves
from benchmarks.figures import Measured, Run
from benchmarks.rows import Row

SLOWER = Row(name="slower", group="some", ours="ours <a>", beside="theirs", unit="ms", at_most=1.5)
ALONE = Row(name="alone", group="some", ours="memory", beside="", unit="MB", at_most=200)
MEASURED = [Measured(SLOWER, [Run(4, 1), Run(12345, 1)], [Run(2, 1), Run(2, 1)]), Measured(ALONE, [Run(9, 1)])]
PANELS: dict[str, dict[str, Curve]] = {
    "milliseconds": {"list": [(10, 1), (1000, 40)], "one": [(10, 0.0)]},
    "bytes per event": {"bytes per event": [(10, 850), (1000, 820)]},
}


def texts(svg: str) -> list[str]:
    return [str(text.text) for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_bars_are_named_with_their_figures_and_units() -> None:
    shown = texts(bars(MEASURED))

    assert {"ours <a>", "theirs", "6,174", "2", "ms", "memory", "9", "MB"} <= {*shown}
    assert "slower: 3,087 (wanted <= 1.5, missed)" in shown
    assert "alone: 9 (wanted <= 200, reached)" in shown


def test_curves_are_named_and_so_are_their_axes() -> None:
    shown = texts(curves(PANELS, "orders", sizes=True))

    assert {"list", "one", "milliseconds", "10", "1,000"} <= {*shown}
    assert shown.count("orders") == 2
    assert shown.count("bytes per event") == 1


def test_the_same_figures_give_the_same_file() -> None:
    assert bars(MEASURED) == bars(MEASURED)
    assert curves(PANELS, "minutes") == curves(PANELS, "minutes")


def test_charts_lie_on_the_page_without_a_ground_or_a_font_of_their_own() -> None:
    for svg in (bars(MEASURED), curves(PANELS, "minutes")):
        assert "#ffffff" not in svg
        assert "white" not in svg
        assert "black" not in svg
        assert "#000000" not in svg
        assert "glyph" not in svg
