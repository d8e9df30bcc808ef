"""`make keep`: puts the figures and charts of var/ into docs/; the next `make bench` compares itself with them."""

import shutil
import sys
from pathlib import Path

from benchmarks.report import baseline
from benchmarks.rows import EXTRA_ROWS, ROWS
from benchmarks.servers import ROOT

# What is measured, and the page that shows it between the two lines below.
PAGES = {name: f"measurements/{name}" for name in ("bench.md", "soak.md", "growth.md")}
BEGIN, END = "<!-- from var/{name} -->\n", "<!-- end -->\n"
CHARTS = ("bench-*.svg", "soak.svg", "growth-*.svg")


def keep(measured: Path, docs: Path) -> None:
    """What there is in the folder `measured`. Raises ValueError if rows are missing, or a page has no place for it."""
    if (measured / "bench.json").exists():
        missing = sorted({row.name for row in (*ROWS, *EXTRA_ROWS)} - baseline(measured / "bench.json").keys())
        if missing:
            raise ValueError(
                f"Run the whole `make bench`, or remove {measured / 'bench.json'}; it lacks {', '.join(missing)}."
            )
    for name, page in PAGES.items():
        if (measured / name).exists():
            _put(name, (measured / name).read_text(), docs / page)
    if (measured / "bench.json").exists():
        shutil.copy(measured / "bench.json", docs / "bench.json")
    (docs / "charts").mkdir(exist_ok=True)
    for pattern in CHARTS:
        for chart in measured.glob(pattern):
            shutil.copy(chart, docs / "charts" / chart.name)


def _put(name: str, text: str, page: Path) -> None:
    before, begin, rest = page.read_text().partition(BEGIN.format(name=name))
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for {name}.")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


if __name__ == "__main__":
    try:
        keep(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "var", ROOT / "docs")
    except ValueError as error:
        sys.exit(f"keep: {error}")
