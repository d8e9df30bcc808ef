"""What a drill found, as one block."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.drills.compare import Findings

MOST_SECONDS = 5.0
HEADINGS = (
    "| drill | faults | acknowledged | unknown | stored | lost | never asked for | gaps | duplicated effects "
    "| read-model differences | seconds to catch up |"
)
EXAMPLES = 5  # findings of a kind that are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`seconds` until the read models equalled the events, None if they never did; `logs` is where to look then."""

    name: str
    seed: int
    faults: Mapping[str, int]
    acknowledged: int
    unknown: int
    findings: Findings
    load_seconds: float
    seconds: float | None
    logs: Path
    most_seconds: float = MOST_SECONDS

    @property
    def passed(self) -> bool:
        found = self.findings
        anything = found.lost or found.unasked or found.gaps or found.duplicated or found.differences
        return not anything and self.seconds is not None and self.seconds <= self.most_seconds

    @property
    def row(self) -> str:
        """Of a Markdown table under HEADINGS."""
        found = self.findings
        caught_up = "not reached" if self.seconds is None else f"{self.seconds:.1f}"
        numbers = [
            self.acknowledged,
            self.unknown,
            found.stored,
            *map(len, (found.lost, found.unasked, found.gaps, found.duplicated, found.differences)),
            caught_up,
        ]
        return f"| {' | '.join(map(str, [self.name, self.broken, *numbers]))} |"

    @property
    def broken(self) -> str:
        return ", ".join(f"{count} x {fault}" for fault, count in self.faults.items()) or "none"

    def __str__(self) -> str:
        found = self.findings
        kinds = {
            "lost": found.lost,
            "stored but never asked for": found.unasked,
            "gaps in versions": found.gaps,
            "duplicated effects": found.duplicated,
            "read-model differences": found.differences,
        }
        caught_up = "not reached" if self.seconds is None else f"{self.seconds:.1f}"
        lines = {
            "acknowledged": self.acknowledged,
            "unknown": self.unknown,
            "stored": found.stored,
            **{kind: len(findings) for kind, findings in kinds.items()},
            "seconds to catch up": caught_up,
            "seconds of load": f"{self.load_seconds:.0f}",
        }
        examples = [f"  {kind}: {each}" for kind, findings in kinds.items() for each in findings[:EXAMPLES]]
        return "\n".join(
            [
                f"\ndrill: {self.name} (seed {self.seed}; logs in {self.logs})",
                f"  faults: {self.broken}",
                *(f"  {name:28}{value:>12}" for name, value in lines.items()),
                *examples,
            ]
        )
