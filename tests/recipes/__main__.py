"""`make recipes`: does what docs/extending.md says, to a copy, and tests the result as everything else is tested."""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.recipes.page import sections
from tests.recipes.release import Change, Release
from tests.recipes.service import take_over
from tests.support.make_run import ROOT

PAGE = ROOT / "docs" / "extending.md"
USE = "Put it into service"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much product code a recipe may touch: files, and lines added."""

    files: int
    lines: int = 120


LIMITS = {
    "A new event": Limits(files=7),
    "A new version of an event": Limits(files=4),
    "A read model with rows per order": Limits(files=4),
    "A read model of sums over orders": Limits(files=4),
}
READ_MODEL_LINES = 70


def main() -> None:
    steps = sections(PAGE)
    assert list(steps) == [*LIMITS, USE], f"the sections of the page are {list(steps)}"
    failures = []
    with tempfile.TemporaryDirectory(prefix="recipes-") as folder:
        release = Release(Path(folder) / "release")
        for title, limits in LIMITS.items():
            failures += over(title, release.apply(title, steps[title]), limits)
            release.command("make lint")
        release.command("make test TESTS='tests/unit tests/integration tests/api'")
        take_over(release, steps[USE], Path(folder) / "data")
    sys.exit("\n".join(failures) or None)


def over(title: str, changes: list[Change], limits: Limits) -> list[str]:
    """What is over its limit; all figures are printed."""
    files, lines = len(changes), sum(change.lines for change in changes)
    print(f"{title}: {files} files of product code, {lines} lines", flush=True)
    failures = []
    if files > limits.files or lines > limits.lines:
        failures.append(f"{title}: {files} files and {lines} lines; at most {limits.files} and {limits.lines}")
    for change in changes:
        print(f"    {change.path}: {change.lines}", flush=True)
        if change.new and change.path.startswith("core/read_models/") and change.lines > READ_MODEL_LINES:
            failures.append(f"{title}: {change.path} has {change.lines} lines; at most {READ_MODEL_LINES}")
    return failures


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(error.cmd)}: exit status {error.returncode}")
