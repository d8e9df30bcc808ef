"""Schemathesis tries the running service from its contract alone: examples, limits, fuzzing, and chains of commands."""

import os
import re
import subprocess
import sys
from pathlib import Path

from core.api_keys import Scope
from local.servers import ValkeyServer
from tests.api.keys import Keys
from tests.api.web_server import PROJECT, WebServer
from tests.api.worker import Worker


def test_schemathesis_finds_nothing(database_url: str, keys: Keys, tmp_path: Path) -> None:
    key = keys.create(Scope.ORDERS_READ, Scope.ORDERS_WRITE).text
    with (
        ValkeyServer(tmp_path) as broker,
        Worker(database_url, broker.url, tmp_path / "worker.log"),
        WebServer(database_url, broker.url, tmp_path / "web.log", ORDERLOG_AUTH="on", RATE_LIMIT="off") as web,
    ):
        report = schemathesis(f"http://127.0.0.1:{web.port}/openapi.json", key)

    assert "No issues found" in report, report
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert re.search(rf"✅ {phase}\b", report), report


def schemathesis(url: str, key: str) -> str:
    """What it prints."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "tests/api/schemathesis.toml"]
    done = subprocess.run(
        [*command, "run", url, "--no-color"],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "ORDERLOG_KEY": key},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr
