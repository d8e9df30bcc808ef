"""examples/follower.py against a real web server: what it does when it, or the log, is not what it was."""

import ast
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.api_keys import Scope
from core.read_models.statistics import statistics
from examples.follower import totals
from local.servers import ValkeyServer
from tests.support.examples import CANCELLED, LAPTOP_ADDED, LIFE, PLACED
from tests.support.keys import Keys
from tests.support.make_run import ROOT
from tests.support.read_side import append_placed, project_all, run
from tests.support.streams import append
from tests.support.waiting import wait_until
from tests.support.web_server import WebServer

Sessions = sessionmaker[Session]
Totals = dict[str, int | Decimal]

SCRIPT = ROOT / "examples" / "follower.py"


@pytest.fixture
def server(database_url: str, valkey: ValkeyServer, tmp_path: Path) -> Iterator[WebServer]:
    """Asks for keys."""
    with WebServer(database_url, valkey.url, tmp_path / "web.log", ORDERLOG_AUTH="on") as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.sqlite"


@contextmanager
def following(server: WebServer, file: Path, key: str) -> Iterator["subprocess.Popen[str]"]:
    """Killed when the block ends."""
    with subprocess.Popen(
        [sys.executable, SCRIPT, f"http://127.0.0.1:{server.port}", file],
        env={**os.environ, "ORDERLOG_KEY": key},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def shown(file: Path) -> Totals | None:
    with closing(sqlite3.connect(file)) as database, suppress(sqlite3.OperationalError):
        return totals(database)
    return None


def test_it_goes_on_where_it_was_killed(server: WebServer, sessions: Sessions, file: Path, keys: Keys) -> None:
    key = keys.create(Scope.EVENTS_READ).text
    append(sessions, LIFE)
    append(sessions, [PLACED, LAPTOP_ADDED], order_id="ORDER-002")
    with following(server, file, key):
        wait_until(lambda: (shown(file) or {}).get("total_count") == 2)
    append(sessions, [CANCELLED], order_id="ORDER-002", after=2)
    append_placed(sessions, "ORDER-003")

    with following(server, file, key):
        wait_until(lambda: (shown(file) or {}).get("total_count") == 3)

    project_all(sessions, "ORDER-001", "ORDER-002", "ORDER-003")
    with sessions.begin() as session:
        assert shown(file) == asdict(statistics(session))  # what GET /orders/statistics says
    assert shown(file) == {
        "total_count": 3, "pending_count": 1, "confirmed_count": 0, "shipped_count": 1, "cancelled_count": 1,
        "total_revenue": Decimal(10000),
    }  # fmt: skip


def test_it_begins_again_with_a_log_from_a_backup(
    server: WebServer, sessions: Sessions, file: Path, keys: Keys
) -> None:
    key = keys.create(Scope.EVENTS_READ).text
    append_placed(sessions, "ORDER-001", "ORDER-002")
    with following(server, file, key):
        wait_until(lambda: (shown(file) or {}).get("total_count") == 2)
        run(sessions, "ALTER TABLE events DISABLE TRIGGER ALL", "DELETE FROM events WHERE aggregate_id = 'ORDER-002'")

        wait_until(lambda: (shown(file) or {}).get("total_count") == 1)


def test_it_ends_with_a_sentence_if_its_key_is_refused(server: WebServer, file: Path) -> None:
    with following(server, file, "olk_wrong") as process:
        assert process.wait(30) == 1
        assert process.stderr is not None
        assert process.stderr.read() == f"http://127.0.0.1:{server.port}: HTTP Error 401: Unauthorized\n"


def test_it_is_short_and_needs_the_standard_library_only() -> None:
    source = SCRIPT.read_text()

    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imported]

    assert len(source.splitlines()) <= 80
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
