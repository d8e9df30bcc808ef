"""`make lint` fails for known flaws only, and never says that all is well when it could not ask."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.audit import UNREACHED, main, verdict

GOOD = {"name": "flask", "version": "3.1.3", "vulns": []}
FLAWED = {
    "name": "celery",
    "version": "5.7.0",
    "vulns": [
        {"id": "PYSEC-2026-1", "fix_versions": ["5.7.1", "6.0"]},
        {"id": "PYSEC-2026-2", "fix_versions": []},
    ],
}
SKIPPED = {"name": "redis", "skip_reason": "Dependency not found on PyPI and could not be audited: redis (8.0)"}


def told(*packages: dict[str, Any]) -> str:
    """As pip-audit says it."""
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_known_flaw_fails() -> None:
    said, exit_status = verdict(told(GOOD, FLAWED, SKIPPED), "Found 2 known vulnerabilities in 1 package")

    assert exit_status == 1
    assert said.splitlines() == [
        "Flaws are known of locked packages:",
        "celery 5.7.0: PYSEC-2026-1, mended in 5.7.1, 6.0",
        "celery 5.7.0: PYSEC-2026-2, mended in none",
    ]


def test_no_known_flaw_passes() -> None:
    assert verdict(told(GOOD, GOOD), "") == ("No flaw is known of 2 locked packages.", 0)


def test_packages_without_advisories_are_counted_apart() -> None:
    assert verdict(told(GOOD, SKIPPED), "") == (
        "No flaw is known of 1 locked packages; for 1 others there are no advisories here.",
        0,
    )


def test_an_index_without_advisories_is_told_from_a_good_end() -> None:
    assert verdict(told(SKIPPED, SKIPPED), "No known vulnerabilities found") == (UNREACHED, 0)


def test_without_a_network_it_is_said_that_nothing_was_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path))

    assert main() == 0
    assert capsys.readouterr().out == f"{UNREACHED}\n"


def test_a_lock_that_cannot_be_read_fails() -> None:
    assert verdict("", "ERROR:pip_audit._cli:invalid requirement\n") == (
        "pip-audit failed: ERROR:pip_audit._cli:invalid requirement",
        1,
    )
