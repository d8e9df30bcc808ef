"""Readiness says when nobody looks for lost hints any more, or nobody ever has."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import downgrade, upgrade
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.database import session_factory
from core.projection.catch_up import catch_up
from core.projection.status import OVERDUE
from core.read_models.wiring import PROJECTORS
from core.webhooks import endpoints
from core.webhooks.delivering import dispatch
from local.servers import PostgresServer, ValkeyServer
from tests.conftest import make_app
from tests.support.calls import problem, send
from tests.support.examples import ORDER_ID, PLACED
from tests.support.read_side import append_placed, last_position, run
from tests.support.streams import append
from tests.support.waiting import wait_until
from webapp.health import readiness as readiness_module


def readiness(client: FlaskClient) -> Any:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    return answer.get_json()


def catch_up_with_all(sessions: sessionmaker[Session]) -> None:
    for name, projector in PROJECTORS.items():
        catch_up(sessions, name, projector)


def age(sessions: sessionmaker[Session], seconds: float, projectors: str = "%") -> None:
    """Let the last catch-up of these projectors have been so long ago."""
    checked = f"checked_at = now() - interval '{seconds} seconds'"
    run(sessions, f"UPDATE projector_checkpoints SET {checked} WHERE projector LIKE '{projectors}'")


def test_it_is_ready_while_catch_up_comes_by(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    catch_up_with_all(sessions)
    age(sessions, OVERDUE - 5)

    assert readiness(client) == {"status": "ready", "checks": {"postgresql": "ok", "redis": "ok", "catch_up": "ok"}}


def test_it_is_degraded_while_nobody_sends_webhooks(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    catch_up_with_all(sessions)
    dispatch(sessions)
    with sessions.begin() as session:
        webhook_id = endpoints.create(session, "https://shop.example/", "", [], enabled=True)["id"]
    assert readiness(client)["status"] == "ready"

    run(sessions, f"UPDATE webhooks SET looked_at = now() - interval '{OVERDUE + 5} seconds'")
    told = readiness(client)
    assert told["status"] == "degraded"
    assert told["checks"]["webhooks"] == (
        f"events were last sent to webhooks {OVERDUE + 5:.0f} s ago; see that webhooks runs"
    )
    dispatch(sessions)
    assert readiness(client)["status"] == "ready"
    run(sessions, f"UPDATE webhooks SET looked_at = now() - interval '{OVERDUE + 5} seconds'")
    with sessions.begin() as session:
        endpoints.change(session, webhook_id, {"enabled": False})
    run(sessions, f"UPDATE webhooks SET looked_at = now() - interval '{OVERDUE + 5} seconds'")
    assert readiness(client)["status"] == "ready"
    with sessions.begin() as session:
        endpoints.change(session, webhook_id, {"enabled": True})
    assert readiness(client)["status"] == "ready"


@pytest.mark.parametrize("projectors", ["%", *PROJECTORS])
def test_it_is_degraded_when_catch_up_is_overdue(
    sessions: sessionmaker[Session], client: FlaskClient, projectors: str
) -> None:
    catch_up_with_all(sessions)
    age(sessions, 3600, projectors)

    said = readiness(client)

    assert said["status"] == "degraded"
    assert said["checks"]["postgresql"] == said["checks"]["redis"] == "ok"
    assert re.fullmatch(
        r"catch-up last came by 36\d\d s ago; see that beat and a worker run", said["checks"]["catch_up"]
    )


def test_it_stays_ready_when_a_later_release_has_migrated(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    catch_up_with_all(sessions)
    run(sessions, "UPDATE alembic_version SET version_num = 'of a later release'")

    assert readiness(client)["status"] == "ready"


def test_it_is_degraded_before_the_first_catch_up(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    assert readiness(client)["status"] == "degraded"
    assert readiness(client)["checks"]["catch_up"] == "catch-up has never come by; see that beat and a worker run"


def test_every_projector_counts(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    catch_up(sessions, "summary", PROJECTORS["summary"])

    assert readiness(client)["checks"]["catch_up"].startswith("catch-up has never come by")


def test_it_is_ready_again_when_catch_up_comes_back(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    catch_up_with_all(sessions)
    age(sessions, 3600)
    assert readiness(client)["status"] == "degraded"

    catch_up_with_all(sessions)

    assert readiness(client)["status"] == "ready"


def test_a_read_model_that_is_no_more_does_not_count(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    catch_up_with_all(sessions)
    catch_up(sessions, "former", PROJECTORS["summary"])
    age(sessions, 3600, "former")

    assert readiness(client)["status"] == "ready"


def test_before_the_migration_that_it_reads_from_it_says_to_migrate(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        downgrade(revision="0002")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.get_json()["checks"]["postgresql"].endswith("run `flask db upgrade`")


def test_before_a_migration_that_a_request_needs_it_is_refused_for_now(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        downgrade(revision="0008")

    problem(client.get("/events"), 503, "database-away")
    status = app.test_cli_runner().invoke(args=["status"])
    assert status.exit_code == 1
    assert "run `flask db upgrade`" in status.output


def test_it_is_degraded_when_the_sequence_of_positions_is_behind(
    sessions: sessionmaker[Session], client: FlaskClient
) -> None:
    append_placed(sessions, ORDER_ID)
    catch_up_with_all(sessions)
    run(sessions, "ALTER SEQUENCE events_position_seq RESTART WITH 1")

    told = readiness(client)

    assert told["status"] == "degraded"
    run(sessions, told["checks"]["positions"].rpartition("run as the owner: ")[2])
    assert readiness(client)["status"] == "ready"


def test_it_is_degraded_when_a_command_has_found_the_disk_full(
    sessions: sessionmaker[Session], client: FlaskClient
) -> None:
    catch_up_with_all(sessions)
    assert "disk" not in readiness(client)["checks"]
    run(
        sessions,
        "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END$$",
    )
    run(sessions, "CREATE TRIGGER no_space BEFORE INSERT ON events EXECUTE FUNCTION no_space()")

    problem(send(client, "place_order", ""), 503, "database-away")

    told = readiness(client)
    assert told["status"] == "degraded"
    assert "no space left on its disk" in told["checks"]["disk"]


def test_a_sequence_that_was_set_by_restart_is_not_behind(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    append_placed(sessions, ORDER_ID)
    catch_up_with_all(sessions)
    run(sessions, f"ALTER SEQUENCE events_position_seq RESTART WITH {last_position(sessions) + 1}")

    assert readiness(client)["status"] == "ready"


@pytest.fixture
def waiting_event(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """An event behind a transaction that has written and stays open."""
    catch_up_with_all(sessions)
    with sessions() as forgotten:
        forgotten.execute(text("SELECT pg_current_xact_id()"))
        append_placed(sessions, ORDER_ID)
        wait_a_minute(sessions)
        yield forgotten


def wait_a_minute(sessions: sessionmaker[Session]) -> None:
    """Let catch-up have reached what it has reached a minute ago, and have come by since."""
    run(sessions, "UPDATE projector_checkpoints SET moved_at = now() - interval '1 minute'")
    catch_up_with_all(sessions)


def test_it_names_the_session_that_holds_catch_up_back(waiting_event: Session, app: Flask) -> None:
    pid = waiting_event.execute(text("SELECT pg_backend_pid()")).scalar_one()

    told = readiness(app.test_client())
    status = app.test_cli_runner().invoke(args=["status"]).output

    assert told["status"] == "degraded"
    assert f"SELECT pg_terminate_backend({pid})" in told["checks"]["catch_up"]
    assert f"catch-up is held back by process {pid} of " in status


def test_events_that_web_servers_with_slow_clocks_store_hold_nothing_back(
    sessions: sessionmaker[Session], client: FlaskClient
) -> None:
    catch_up_with_all(sessions)
    with sessions() as writing:
        writing.execute(text("SELECT pg_current_xact_id()"))
        append(sessions, [PLACED], occurred_at=datetime.now(UTC) - timedelta(minutes=4))
        catch_up_with_all(sessions)

        assert readiness(client)["checks"]["catch_up"] == "ok"


def test_it_says_that_catch_up_is_behind_where_nothing_holds_it_back(
    waiting_event: Session, client: FlaskClient
) -> None:
    waiting_event.rollback()

    assert readiness(client)["checks"]["catch_up"].endswith("held back by nothing that still goes on")


def test_it_names_a_prepared_transaction_that_was_forgotten(tmp_path: Path, valkey: ValkeyServer) -> None:
    with PostgresServer(tmp_path) as server:
        with psycopg.connect(server.superuser_url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET max_prepared_transactions = 2")
        server.stop()
        server.start()
        app = make_app(server.owner_url, valkey.url)
        with app.app_context():
            upgrade()
        sessions = session_factory(server.owner_url)
        catch_up_with_all(sessions)
        with psycopg.connect(server.owner_url) as connection:
            connection.execute("SELECT pg_current_xact_id()")
            connection.execute("PREPARE TRANSACTION 'forgotten'")
        append_placed(sessions, ORDER_ID)
        wait_a_minute(sessions)

        told = readiness(app.test_client())["checks"]["catch_up"]

        assert "the prepared transaction forgotten of" in told
        assert "ROLLBACK PREPARED 'forgotten'" in told
        sessions.kw["bind"].dispose()


def test_probes_that_come_within_a_second_look_once(
    database_url: str, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[dict[str, str]] = []
    really_check = readiness_module.check

    def check(results: dict[str, str]) -> None:
        really_check(results)
        looked.append(results)

    monkeypatch.setattr(readiness_module, "check", check)
    app = make_app(database_url, valkey.url, READINESS_SECONDS=60)
    with ThreadPoolExecutor(8) as probes:
        answers = list(probes.map(lambda _: readiness(app.test_client())["checks"], range(50)))

    assert len(looked) == 1
    assert answers == looked * 50


def test_postgresql_counts_as_away_until_it_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe may come in that instant."""
    begun: list[dict[str, str]] = []
    monkeypatch.setattr(readiness_module, "check", lambda results: begun.append(dict(results)))

    readiness_module.Readiness(1).checks()

    assert begun == [{"postgresql": readiness_module.AWAY}]


def test_a_database_that_falls_silent_is_away_for_all_who_ask_meanwhile(tmp_path: Path, valkey: ValkeyServer) -> None:
    with PostgresServer(tmp_path) as server:
        app = make_app(server.owner_url, valkey.url)
        with app.app_context():
            upgrade()
        assert readiness(app.test_client())
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
        with ThreadPoolExecutor(1) as another:
            for process in processes:
                process.suspend()
            waits = another.submit(app.test_client().get, "/readyz")
            try:
                wait_until(lambda: app.test_client().get("/readyz").status_code == 503)
                assert not waits.done()
            finally:
                for process in processes:
                    process.resume()
        assert waits.result().status_code == 200
        wait_until(lambda: readiness(app.test_client()))
