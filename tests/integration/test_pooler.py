"""Behind PgBouncer: no setting is lost or left to others, and what needs a session of its own does without."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.database import connect, derived_session_factory, session_factory
from core.event_sourcing.postgres_store import PostgresEventStore
from core.projection.catch_up import catch_up
from core.projection.rebuild import rebuild_next_range
from core.projection.rebuild_plan import RebuildPlan
from core.read_models.wiring import PROJECTORS
from core.settings import Patience
from core.transactions import autocommitting, transaction
from local.servers import ValkeyServer
from tests.support.calls import place, read, send, show_everything
from tests.support.make_run import ROOT
from tests.support.pooler import PgBouncer
from tests.support.read_side import run, value
from tests.support.rebuilding import assert_equal_to_events, fill, ranges_left_behind
from tests.support.web_server import TELLS_OF_WAITS, WebServer

pytestmark = pytest.mark.pooler

WANTED = {"statement_timeout": "5s", "lock_timeout": "2s", "synchronous_commit": "off"}
SHOW = "SELECT name, current_setting(name) FROM unnest(%(names)s::text[]) AS name"
COMMANDS = 400
# A pooler keeps the name of whoever had the connection last.
LISTENERS = """
    SELECT count(*) FROM pg_stat_activity WHERE application_name = 'orderlog listener' AND query LIKE '%; LISTEN %'
"""


@pytest.fixture
def direct(direct_url: str) -> Iterator[sessionmaker[Session]]:
    factory = session_factory(direct_url)
    yield factory
    factory.kw["bind"].dispose()


@pytest.fixture(params=["transaction", "session"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(direct_url: str, tmp_path: Path, mode: str) -> Iterator[str]:
    with PgBouncer(tmp_path, direct_url, mode=mode) as pooler:
        yield pooler.of(direct_url)


@pytest.fixture
def pooled(url: str) -> Iterator[sessionmaker[Session]]:
    factory = session_factory(url)
    yield factory
    factory.kw["bind"].dispose()


only_transactions = pytest.mark.parametrize("mode", ["transaction"], indirect=True)


@pytest.mark.parametrize("told", [False, True], ids=["found out", "told"])
def test_every_transaction_has_the_settings_and_nobody_elses_has(url: str, told: bool) -> None:
    names = {"names": [*WANTED, "TimeZone", "transaction_isolation"]}
    expected = {**WANTED, "TimeZone": "UTC", "transaction_isolation": "read committed"}
    with psycopg.connect(url, autocommit=True) as other:
        before: dict[str, str] = dict(other.execute(SHOW, names).fetchall())
    engine = connect(url, pooled=told, settings=WANTED)

    with engine.begin() as connection:
        assert dict(connection.exec_driver_sql(SHOW, names).all()) == expected
    with autocommitting(engine) as statements:
        for _ in range(20):
            assert dict(statements.execute(SHOW, names).fetchall()) == expected
    for pipeline in (True, False):
        with transaction(engine, pipeline=pipeline) as driver:
            assert dict(driver.execute(SHOW, names).fetchall()) == expected

    with psycopg.connect(url, autocommit=True) as other:
        assert dict(other.execute(SHOW, names).fetchall()) == before
    engine.dispose()


def test_a_statement_that_takes_too_long_is_given_up_and_the_connection_goes_on(url: str) -> None:
    engine = connect(url, settings={"statement_timeout": "50ms"})

    with autocommitting(engine) as statements:
        with pytest.raises(psycopg.errors.QueryCanceled):
            statements.execute("SELECT pg_sleep(10)", {})
        assert statements.execute("SELECT 1", {}).fetchone() == (1,)
    engine.dispose()


def test_commands_queries_and_projections_meet_no_fault(
    url: str, direct: sessionmaker[Session], valkey: ValkeyServer, tmp_path: Path
) -> None:
    with WebServer(url, valkey.url, tmp_path / "web.log", processes=2) as server:

        def ask(number: int) -> int:
            order_id = place(server.client)
            statuses = {send(server.client, "add_item", order_id).status_code for _ in range(3)}
            statuses.add(server.client.get(f"/orders/{order_id}/events").status_code)
            statuses.add(server.client.get("/orders").status_code)
            return max(statuses)

        with ThreadPoolExecutor(16) as clients:
            assert max(clients.map(ask, range(COMMANDS // 4))) < 400
    workers = derived_session_factory(url, lock_timeout="2s")
    with ThreadPoolExecutor(4) as threads:
        for _ in threads.map(lambda name: catch_up(workers, name, PROJECTORS[name]), [*PROJECTORS] * 4):
            pass
    workers.kw["bind"].dispose()

    assert value(direct, "SELECT count(*) FROM events") == COMMANDS
    assert_equal_to_events(direct)


def test_an_idempotent_command_may_be_repeated(url: str, valkey: ValkeyServer, tmp_path: Path) -> None:
    with WebServer(url, valkey.url, tmp_path / "web.log") as server:
        answers = [send(server.client, "place_order", "", {"Idempotency-Key": "once"}) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {201}
    assert len({read(answer)["order_id"] for answer in answers}) == 1


def test_rebuild_runs_beside_another_and_forgets_an_abandoned_plan(
    url: str, pooled: sessionmaker[Session], direct: sessionmaker[Session]
) -> None:
    fill(direct, 3000)
    run(direct, "INSERT INTO rebuild_ranges (rebuild_id, number, from_id, events) VALUES ('abandoned', 0, '', 0)")
    with RebuildPlan(pooled) as plan:
        while rebuild_next_range(pooled, plan.id, PROJECTORS, Patience()):
            break
        command = [sys.executable, "-m", "flask", "rebuild", "--jobs", "2"]
        environment = {**os.environ, "DATABASE_URL": url}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert value(direct, "SELECT count(DISTINCT rebuild_id) FROM rebuild_ranges") == 1
        while rebuild_next_range(pooled, plan.id, PROJECTORS, Patience()):
            pass

    assert_equal_to_events(direct)
    assert ranges_left_behind(direct) == 0


def test_an_import_asks_for_the_database_itself(url: str, direct_url: str, direct: sessionmaker[Session]) -> None:
    fill(direct, 2)
    command = [sys.executable, "-m", "flask", "events"]
    environment = {**os.environ, "DATABASE_URL": url}
    exported = subprocess.run([*command, "export", "-"], cwd=ROOT, env=environment, capture_output=True, check=True)

    def imported(**more: str) -> subprocess.CompletedProcess[bytes]:
        given = {"input": exported.stdout, "env": {**environment, **more}}
        return subprocess.run([*command, "import", "-"], cwd=ROOT, capture_output=True, check=False, **given)  # type: ignore[call-overload,no-any-return]

    refused = imported()
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"set DATABASE_DIRECT_URL" in refused.stderr
    assert imported(DATABASE_DIRECT_URL=direct_url).returncode == 0


@pytest.mark.parametrize("told", [{}, {"DATABASE_POOLER": "transaction"}], ids=["found out", "told"])
def test_waits_are_right_without_news(
    url: str, direct: sessionmaker[Session], valkey: ValkeyServer, tmp_path: Path, told: dict[str, Any]
) -> None:
    with WebServer(url, valkey.url, tmp_path / "web.log", app=TELLS_OF_WAITS, **told) as server:
        for waits in range(1, 4):
            assert answered_after_projection(server, direct, waits) < 2
        assert value(direct, LISTENERS) == 0
        assert value(direct, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    if not told:
        assert (tmp_path / "web.log").read_text().count("DATABASE_DIRECT_URL avoids that") == 1


@only_transactions
def test_waits_hear_the_news_past_the_pooler(
    url: str, direct_url: str, direct: sessionmaker[Session], valkey: ValkeyServer, tmp_path: Path
) -> None:
    past: dict[str, Any] = {"DATABASE_DIRECT_URL": direct_url}
    with WebServer(url, valkey.url, tmp_path / "web.log", app=TELLS_OF_WAITS, **past) as server:
        assert answered_after_projection(server, direct, 1) < 2
        assert value(direct, LISTENERS) == 1


def answered_after_projection(server: WebServer, direct: sessionmaker[Session], waits: int) -> float:
    """The seconds from the projection to the answer of who waited for it; `waits` have begun by then."""
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(send, server.client, "place_order", "", {"Prefer": "wait=20"})
        server.wait_for_waits(waits)
        projected = time.monotonic()
        show_everything(direct)
        assert waiting.result().headers.get("Preference-Applied") == "wait"
    return time.monotonic() - projected


def test_a_pooler_that_comes_later_is_found_out(direct_url: str, tmp_path: Path) -> None:
    """As when its address takes the place of the server's."""
    with PgBouncer(tmp_path, direct_url) as pooler:
        factory = session_factory(pooler.of(direct_url))
        with factory() as session:
            driver = session.connection().connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            assert driver.prepare_threshold is None
            assert list(PostgresEventStore(driver).read_stream("ORDER-404")) == []
        factory.kw["bind"].dispose()
