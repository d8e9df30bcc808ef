"""What a drill found, as one block."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.drills.compare import Findings

MOST_SECONDS = 5.0
HEADINGS = (
    "| drill | faults | acknowledged | unknown | stored | lost | never asked for | gaps | duplicated effects "
    "| read-model differences | wrong statistics | wrong snapshots | snapshots compared | seconds to catch up |"
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
        """Without a finding, soon enough, and having had snapshots to compare."""
        found = self.findings
        caught_up = self.seconds is not None and self.seconds <= self.most_seconds
        return caught_up and found.snapshots_compared > 0 and not any(found.by_kind.values())

    @property
    def row(self) -> str:
        """Of a Markdown table under HEADINGS."""
        found = self.findings
        numbers = [
            self.acknowledged,
            self.unknown,
            found.stored,
            *map(len, found.by_kind.values()),
            found.snapshots_compared,
            self.caught_up,
        ]
        return f"| {' | '.join(map(str, [self.name, self.broken, *numbers]))} |"

    @property
    def caught_up(self) -> str:
        return "not reached" if self.seconds is None else f"{self.seconds:.1f}"

    @property
    def broken(self) -> str:
        return ", ".join(f"{count} x {fault}" for fault, count in self.faults.items()) or "none"

    def __str__(self) -> str:
        kinds = self.findings.by_kind
        lines = {
            "acknowledged": self.acknowledged,
            "unknown": self.unknown,
            "stored": self.findings.stored,
            **{kind: len(findings) for kind, findings in kinds.items()},
            "snapshots compared": self.findings.snapshots_compared,
            "seconds to catch up": self.caught_up,
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
