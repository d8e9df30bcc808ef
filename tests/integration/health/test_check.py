"""`python -m webapp.check`, which `web` runs first, says in one sentence what keeps it from starting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

URLS = {"DATABASE_URL": "postgresql://orderlog@127.0.0.1:1/orderlog", "REDIS_URL": "redis://127.0.0.1:1/0"}
OURS = {*URLS, "DATA_DIR", "HOST", "ORDERLOG_AUTH", "TRUSTED_PROXIES", "RATE_LIMIT"}


def check(project_root: Path, elsewhere: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """With these settings and no others; `elsewhere` has no `make run`."""
    others = {name: value for name, value in os.environ.items() if name not in OURS}
    return subprocess.run(
        [sys.executable, "-m", "webapp.check"],
        cwd=project_root,
        env={**others, "DATA_DIR": str(elsewhere), **settings},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "DATABASE_URL is not set"),
        ({**URLS, "RATE_LIMIT": "lots"}, "RATE_LIMIT is 'lots'"),
        ({**URLS, "DATABASE_URL": "postgresql://postgres:postgres@db.example/orders"}, "DATABASE_URL has no password"),
        ({**URLS, "ORDERLOG_AUTH": "off", "HOST": "0.0.0.0"}, "ORDERLOG_AUTH=off is only for a service that listens"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_used_is_one_sentence(
    project_root: Path, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    done = check(project_root, tmp_path, **settings)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"orderlog: {said}")
    assert done.stderr.count("\n") == 1


def test_a_database_that_is_away_is_not_waited_for(project_root: Path, tmp_path: Path) -> None:
    done = check(project_root, tmp_path, **URLS, ORDERLOG_AUTH="off")

    assert done.returncode == 0
    assert "Traceback" not in done.stderr
