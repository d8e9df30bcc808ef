"""Writes docs/openapi.json, as `make contract` does; its diff is what to review for breaking changes."""

from pathlib import Path

import simplejson

from webapp.contract.document import document
from webapp.operations import OPERATIONS

CHECKED_IN = Path(__file__).parent.parent.parent / "docs" / "openapi.json"


def contract_text() -> str:
    return simplejson.dumps(document(OPERATIONS), use_decimal=True, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    CHECKED_IN.write_text(contract_text())
