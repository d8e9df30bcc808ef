"""Schemathesis tries the running service from its contract alone: examples, limits, fuzzing, and chains of commands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.api_keys import Scope
from local.servers import ValkeyServer
from tests.support.keys import Keys
from tests.support.make_run import ROOT
from tests.support.web_server import WebServer
from tests.support.worker import Worker


@pytest.mark.timeout(300)
def test_schemathesis_finds_nothing(
    database_url: str, sessions: sessionmaker[Session], keys: Keys, tmp_path: Path
) -> None:
    key = keys.create(*Scope).text
    with (
        ValkeyServer(tmp_path) as broker,
        Worker(database_url, broker.url, tmp_path / "worker.log"),
        WebServer(
            database_url, broker.url, tmp_path / "web.log", ORDERLOG_AUTH="on", RATE_LIMIT="off", STREAMS="0"
        ) as web,
    ):
        status, report = schemathesis(f"http://127.0.0.1:{web.port}/openapi.json", key)

    assert status == 0, report
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert re.search(rf"✅ {phase}\b", report), report
    # Longer chains chance seldom finds: test_generated_client.py goes on to confirm, and test_commands.py to ship.
    assert {"OrderPlaced", "OrderItemAdded", "OrderCancelled"} <= stored(sessions)


def stored(sessions: sessionmaker[Session]) -> set[str]:
    """The types of events that came about."""
    with sessions.begin() as session:
        return set(session.execute(text("SELECT DISTINCT event_type FROM events")).scalars())


def schemathesis(url: str, key: str) -> tuple[int, str]:
    """How it ended, and what it printed."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "tests/support/schemathesis.toml"]
    done = subprocess.run(
        [*command, "run", url, "--no-color"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ORDERLOG_KEY": key},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
