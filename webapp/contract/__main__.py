"""Writes docs/openapi.json, as `make contract` does; a breaking change only with `--accept-breaking`."""

import sys
from pathlib import Path
from typing import Any

import simplejson

from webapp.contract.breaking import breaking_changes
from webapp.contract.document import document

CHECKED_IN = Path(__file__).parent.parent.parent / "docs" / "openapi.json"


def text() -> str:
    return simplejson.dumps(document(), use_decimal=True, ensure_ascii=False, indent=1) + "\n"


def checked_in() -> dict[str, Any]:
    """Empty before there was a contract."""
    if not CHECKED_IN.exists():
        return {"paths": {}, "components": {}}
    found: dict[str, Any] = simplejson.loads(CHECKED_IN.read_text(), use_decimal=True)
    return found


def main(*options: str) -> None:
    broken = breaking_changes(checked_in(), document())
    for change in broken:
        print(f"breaking: {change}")
    if broken and "--accept-breaking" not in options:
        sys.exit("Clients would break. If that is meant: make contract ACCEPT_BREAKING=1")
    CHECKED_IN.write_text(text())


if __name__ == "__main__":
    main(*sys.argv[1:])
