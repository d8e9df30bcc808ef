"""`python -m local.audit`: are flaws known of the locked packages? Where advisories cannot be reached, it says so."""

import json
import re
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements" / "dev.txt"  # it has what the others have

PIP_AUDIT = [
    *(sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--disable-pip", "--require-hashes"),
    *("--format", "json", "--progress-spinner", "off", "--timeout", "5"),
]
NO_CONNECTION = re.compile(r"requests\.exceptions|ServiceError|Could not connect")
UNREACHED = "Advisories could not be reached: the locked packages were not checked for known flaws."


def main() -> int:
    ran = subprocess.run(PIP_AUDIT, capture_output=True, text=True, check=False)
    line, exit_status = verdict(ran.stdout, ran.stderr)
    print(line)
    return exit_status


def verdict(told: str, complaint: str) -> tuple[str, int]:
    """What to print about pip-audit's JSON or its standard error, and the exit status.

    Where advisories cannot be reached, it fails to connect, or finds no package."""
    try:
        packages = json.loads(told)["dependencies"]
    except ValueError:
        why = complaint.strip().rpartition("\n")[2]
        return (UNREACHED, 0) if NO_CONNECTION.search(why) else (f"pip-audit failed: {why}", 1)
    flaws = [
        f"{package['name']} {package['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'none'}"
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    if flaws:
        return "\n".join(["Flaws are known of locked packages:", *flaws]), 1
    skipped = sum("skip_reason" in package for package in packages)
    if skipped == len(packages):
        return UNREACHED, 0
    unchecked = f"; for {skipped} others there are no advisories here" if skipped else ""
    return f"No flaw is known of {len(packages) - skipped} locked packages{unchecked}.", 0


if __name__ == "__main__":
    sys.exit(main())
