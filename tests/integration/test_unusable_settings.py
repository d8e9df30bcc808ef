"""Settings that cannot be used end whatever starts with one sentence, which quotes no URL."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from local.program import procfile
from tests.support.make_run import ROOT

SECRET = "of-the-tests-k3Zq"
GOOD = {
    "DATABASE_URL": f"postgresql://orderlog:{SECRET}@127.0.0.1:1/orderlog",
    "REDIS_URL": f"redis://:{SECRET}@127.0.0.1:1/0",
    "FLOWER_BASIC_AUTH": f"orderlog:{SECRET}",
}
PROCESSES = {
    **procfile(ROOT / "Procfile"),
    "web without its check": "exec python -m webapp.serve webapp:create_app",
    "command": "exec flask status",
    "help": "exec flask --help",
    "migration": "exec flask db upgrade",
}


def start(process: str, elsewhere: Path, settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """With these settings; `elsewhere` has no `make run`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    of_celery = "ignore:You're running the worker with superuser privileges"
    given = {"PATH": path, "DATA_DIR": str(elsewhere), "ORDERLOG_AUTH": "off", "PYTHONWARNINGS": of_celery}
    return subprocess.run(
        ["sh", "-c", PROCESSES[process]],
        cwd=ROOT,
        env={**os.environ, **given, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def assert_one_sentence(done: subprocess.CompletedProcess[str], sentence: str) -> None:
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{sentence}\n")


@pytest.mark.parametrize("process", PROCESSES)
def test_an_unusable_setting_is_one_sentence(tmp_path: Path, process: str) -> None:
    done = start(process, tmp_path, {**GOOD, "DATABASE_URL": f"mysql://orderlog:{SECRET}@127.0.0.1/orderlog"})

    assert_one_sentence(
        done,
        "orderlog: DATABASE_URL must be like postgresql://user:password@host:5432/database,"
        " with other characters percent-encoded.",
    )


@pytest.mark.parametrize("process", ["worker", "beat", "web", "command"])
def test_a_missing_setting_is_one_sentence(tmp_path: Path, process: str) -> None:
    done = start(process, tmp_path, {**GOOD, "REDIS_URL": ""})

    assert_one_sentence(
        done, "orderlog: REDIS_URL is not set and no `make run` is up here: set it, or start `make run`."
    )


def test_migrating_a_database_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    done = start("migration", tmp_path, GOOD)

    assert done.returncode == 1
    assert done.stderr.startswith("Error: The database failed; run the command again. (OperationalError: connection")
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr
