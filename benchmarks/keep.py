"""`make bench KEEP=1`: puts the figures of var/ into docs/, where the next `make bench` compares itself with them."""

import shutil
import sys
from pathlib import Path

from benchmarks.baseline import BASELINE
from benchmarks.servers import ROOT

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- from var/bench.md -->\n", "<!-- end -->\n"


def keep(measured: Path, page: Path = PAGE, baseline: Path = BASELINE) -> None:
    """`measured` is the folder with bench.json and bench.md. Raises ValueError if the page has no place for them."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines {BEGIN.strip()} and {END.strip()}")
    shutil.copy(measured / "bench.json", baseline)
    page.write_text(before + begin + "\n" + (measured / "bench.md").read_text() + "\n" + end + after)


if __name__ == "__main__":
    keep(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "var")
