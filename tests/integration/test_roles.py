"""The service runs under a role that can add events and change none: the database refuses by privilege."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Semaphore

import psycopg
import pytest
from flask import Flask
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker

from core import api_keys
from core.api_keys import Scope
from core.command_handler import utc_now
from core.database import session_factory
from core.webhooks.delivering import deliver, dispatch, prune
from core.webhooks.sending import Sender
from local.servers import PostgresServer, ValkeyServer
from tests.conftest import make_app
from tests.drills.fleet import Fleet
from tests.support.calls import order_after, problem, read, send
from tests.support.make_run import request
from tests.support.read_side import run
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until


@pytest.fixture
def owner_url(postgres: PostgresServer, database_url: str) -> str:
    return in_database(database_url, postgres.owner_url)


GIVEN = "aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at"


@pytest.fixture
def role_url(postgres: PostgresServer, database_url: str, owner_url: str, project_root: Path) -> str:
    """In a database that its owner, no superuser, has prepared by the file that is shipped, twice."""
    with psycopg.connect(owner_url, autocommit=True) as owner:
        database = sql.Identifier(owner.info.dbname)
        owner.execute(sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(database))
        for _ in range(2):
            owner.execute((project_root / "migrations" / "roles.sql").read_bytes())
    return in_database(database_url, postgres.service_url)


def in_database(database_url: str, url: str) -> str:
    return make_url(url).set(database=make_url(database_url).database).render_as_string(hide_password=False)


@pytest.fixture
def role_app(role_url: str, valkey: ValkeyServer) -> Iterator[Flask]:
    app = make_app(role_url, valkey.url)
    yield app
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET metadata = '{}'",
        "DELETE FROM events",
        "TRUNCATE events",
        "TRUNCATE events CASCADE",
        "DROP TRIGGER events_are_append_only ON events",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP TABLE events",
        "CREATE OR REPLACE FUNCTION refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "SET session_replication_role = replica",
        "SELECT setval('events_position_seq', 1)",
        "CREATE TABLE another (id int)",
        "UPDATE alembic_version SET version_num = '0001'",
        "INSERT INTO api_keys SELECT * FROM api_keys",
        "UPDATE api_keys SET revoked_at = NULL",
        "SET ROLE orderlog",
        "SET ROLE orderlog_owner",
        f"INSERT INTO events (position, {GIVEN}) OVERRIDING SYSTEM VALUE SELECT 99, {GIVEN} FROM events",
        f"INSERT INTO events (transaction_id, {GIVEN}) SELECT '99', {GIVEN} FROM events",
        f"INSERT INTO events (epoch, {GIVEN}) SELECT 99, {GIVEN} FROM events",
        "INSERT INTO log_epochs SELECT * FROM log_epochs",
        "COPY api_keys FROM PROGRAM 'id'",
        "COPY api_keys FROM '/etc/passwd'",
    ],
)
def test_what_the_service_never_does_is_refused(role_app: Flask, role_url: str, statement: str) -> None:
    order_after(role_app.test_client())

    with psycopg.connect(role_url) as session, pytest.raises(InsufficientPrivilege):
        session.execute(statement.encode())


def test_a_table_of_a_later_migration_is_open_to_the_service(owner_url: str, role_url: str) -> None:
    with psycopg.connect(owner_url) as owner:
        owner.execute("CREATE TABLE sales_per_day (day date PRIMARY KEY, sold int)")
    with psycopg.connect(role_url) as session:
        session.execute("INSERT INTO sales_per_day VALUES ('2026-01-01', 1)")
        assert session.execute("DELETE FROM sales_per_day RETURNING sold").fetchone() == (1,)


def test_every_command_and_the_operating_commands_work(role_app: Flask, tmp_path: Path) -> None:
    client, run = role_app.test_client(), role_app.test_cli_runner().invoke
    order_id = order_after(client, "add_item", "confirm_order", "ship_order")
    order_after(client, "cancel_order")

    commands = (
        "catch-up",
        "rebuild",
        "verify",
        "verify --repair",
        "status",
        "parked list",
        "api-keys list",
        "webhooks list",
    )
    for command in (*commands, f"events export {tmp_path}/log", f"events import {tmp_path}/log"):
        ran = run(args=command.split())
        assert ran.exit_code == 0, (command, ran.output)

    assert read(client.get(f"/orders/{order_id}"))["status"] == "shipped"
    assert read(client.get("/readyz"))["checks"]["postgresql"] == "ok"
    assert run(args=["rebuild", "--dry-run"]).exit_code == 0
    more = (tmp_path / "log").read_text().replace(order_id, "ORDER-001")
    ran = run(args=["events", "import", "-"], input=more)
    assert ran.stdout.startswith("4 events imported, 2 were there already"), ran.output


def test_webhooks_are_managed_and_sent(role_app: Flask, role_url: str) -> None:
    client, role_sessions = role_app.test_client(), session_factory(role_url)
    with Receiver() as receiver, Sender(development=True) as sender:
        webhook = read(client.post("/webhooks", json={"url": receiver.url}))
        order_after(client)
        assert dispatch(role_sessions) == {webhook["id"]: 1}
        assert deliver(role_sessions, sender, webhook["id"], Semaphore())
        assert len(receiver.got) == 1
    with role_sessions.begin() as session:
        assert prune(session) == 0
    assert client.delete(f"/webhooks/{webhook['id']}").status_code == 204
    role_sessions.kw["bind"].dispose()


def test_its_keys_are_read_but_made_by_the_owner(
    role_app: Flask, role_url: str, valkey: ValkeyServer, sessions: sessionmaker[Session]
) -> None:
    with sessions.begin() as session:
        key = api_keys.create(session, "shop", [Scope.ORDERS_WRITE], now=utc_now()).text
    guarded_app = make_app(role_url, valkey.url, AUTH=True)
    guarded = guarded_app.test_client()

    assert send(guarded, "place_order", "").status_code == 401
    placed = guarded.post(
        "/orders", json={"customer_name": "山田太郎", "total_amount": 1}, headers={"Authorization": f"Bearer {key}"}
    )
    assert placed.status_code == 201
    with guarded_app.app_context():
        guarded_app.extensions["sqlalchemy"].engine.dispose()
    refused = role_app.test_cli_runner().invoke(args=["api-keys", "create", "shop", "--scope", "orders:read"])
    assert refused.exit_code == 1
    assert "permission denied" in refused.output


def test_web_worker_and_beat_run_under_it(role_url: str, valkey: ValkeyServer, tmp_path: Path) -> None:
    with Fleet(tmp_path, database_url=role_url, broker_url=valkey.url, workers=1) as stack:
        url = f"http://127.0.0.1:{stack.ports[0]}"
        order_id = request(f"{url}/orders", {"customer_name": "山田太郎", "total_amount": 1})["order_id"]

        wait_until(lambda: order_id in str(request(f"{url}/orders")), 30)
        wait_until(lambda: request(f"{url}/readyz")["status"] == "ready", 30)


def test_it_sees_which_session_of_another_role_holds_catch_up_back(
    role_app: Flask, owner_url: str, sessions: sessionmaker[Session]
) -> None:
    invoke, client = role_app.test_cli_runner().invoke, role_app.test_client()
    with psycopg.connect(owner_url) as owner:
        owner.execute("SELECT pg_current_xact_id()")
        order_after(client)
        invoke(args=["catch-up"])
        run(sessions, "UPDATE projector_checkpoints SET moved_at = now() - interval '1 minute'")
        invoke(args=["catch-up"])

        told = read(client.get("/readyz"))["checks"]["catch_up"]
        assert f"held back by process {owner.info.backend_pid} of " in told


def test_a_privilege_that_the_role_lacks_is_named(role_app: Flask, owner_url: str) -> None:
    with psycopg.connect(owner_url) as owner:
        owner.execute("REVOKE SELECT ON SEQUENCE events_position_seq FROM orderlog_app")

    told = read(role_app.test_client().get("/readyz"))

    assert told["status"] == "degraded"
    assert "events_position_seq; run migrations/roles.sql" in told["checks"]["positions"]


def test_without_its_privileges_requests_are_refused_for_now(role_app: Flask, owner_url: str) -> None:
    with psycopg.connect(owner_url) as owner:
        owner.execute("REVOKE SELECT ON events FROM orderlog_app")

    problem(role_app.test_client().get("/events"), 503, "database-away")
    refused = role_app.test_cli_runner().invoke(args=["api-keys", "create", "shop", "--scope", "orders:read"])
    assert "set DATABASE_OWNER_URL, or run migrations/roles.sql" in refused.output


# `log_epoch()` runs with the owner's rights.


def test_what_the_role_has_made_is_not_asked_for_the_epoch(role_app: Flask, role_url: str) -> None:
    with psycopg.connect(role_url) as session:
        session.execute("CREATE TEMP TABLE log_epochs (number int, system_identifier bigint)")
        session.execute("INSERT INTO log_epochs VALUES (99, (SELECT system_identifier FROM pg_control_system()))")
        session.execute(
            "CREATE TEMP TABLE projector_checkpoints AS SELECT 1 AS epoch, '999999'::xid8 AS transaction_id"
        )
        session.execute("SET search_path = pg_temp, public")

        assert session.execute("SELECT public.log_epoch()").fetchone() == (1,)


def test_nobody_else_may_ask_for_the_epoch(role_url: str, owner_url: str, postgres: PostgresServer) -> None:
    with psycopg.connect(in_database(owner_url, postgres.superuser_url)) as session:
        session.execute("CREATE ROLE passer_by")
        session.execute("SET ROLE passer_by")
        with pytest.raises(InsufficientPrivilege):
            session.execute("SELECT log_epoch()")


# Durability.


@pytest.fixture
def careless(database_url: str) -> Iterator[Callable[[str], None]]:
    """Switches a setting off for the database of this test."""
    with psycopg.connect(database_url, autocommit=True) as owner:
        name = owner.execute("SELECT quote_ident(current_database())").fetchone()
        assert name is not None

        def switch_off(setting: str) -> None:
            owner.execute(f"ALTER DATABASE {name[0]} SET {setting} = off".encode())

        yield switch_off


def test_a_database_that_may_lose_commands_is_reported(
    careless: Callable[[str], None], app: Flask, database_url: str
) -> None:
    assert "durability" not in read(app.test_client().get("/readyz"))["checks"]
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()

    careless("synchronous_commit")

    answer = read(app.test_client().get("/readyz"))
    assert answer["status"] == "degraded"
    assert "synchronous_commit off" in answer["checks"]["durability"]


def complains(log: Path) -> bool:
    return "PostgreSQL runs with synchronous_commit off" in log.read_text()


def test_web_and_worker_say_so_when_they_start(
    careless: Callable[[str], None], database_url: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    careless("synchronous_commit")
    with Fleet(tmp_path, database_url=database_url, broker_url=valkey.url, workers=1, beats=0):
        for process in ("web-0", "worker-0"):
            log = tmp_path / f"{process}.log"
            wait_until(partial(complains, log), 30)
            assert log.read_text().count('"level": "ERROR"') == 1


def test_the_servers_of_make_run_are_durable(sessions: sessionmaker[Session], database_url: str) -> None:
    own = session_factory(database_url)
    with own.begin() as session:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            assert session.execute(text(f"SHOW {name}")).scalar() == "on"
    own.kw["bind"].dispose()
