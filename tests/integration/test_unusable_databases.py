"""A database that answers and cannot be worked on: told as what it is, and left as soon as another one is to be had."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from psycopg import sql
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker

from local.servers import PostgresServer, ValkeyServer
from tests.conftest import make_app
from tests.integration.test_unusable_settings import GOOD, assert_one_sentence, start
from tests.support.calls import COMMANDS, accepted, place, problem, send
from tests.support.read_side import run
from tests.support.web_server import WebServer

ONLY_READS = "PostgreSQL takes no changes: it is a replica, or default_transaction_read_only is on"
ENCODING = "The database's encoding is SQL_ASCII; make one with ENCODING 'UTF8'."


def set_read_only(database_url: str, value: str) -> None:
    """For connections that begin from now on."""
    with psycopg.connect(database_url) as connection:
        connection.read_only = False
        name = sql.Identifier(str(make_url(database_url).database))
        connection.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}").format(name, value))


@pytest.fixture
def read_only(database_url: str, sessions: sessionmaker[Session]) -> Iterator[str]:
    set_read_only(database_url, "on")
    yield database_url
    set_read_only(database_url, "off")


def test_a_primary_that_only_reads_refuses_commands_until_it_takes_them(read_only: str, valkey: ValkeyServer) -> None:
    client = make_app(read_only, valkey.url).test_client()

    for command in COMMANDS:
        answer = send(client, command, "ORDER-404" if command != "place_order" else "")
        if answer.status_code != 404:  # what is refused before anything is stored
            problem(answer, 503, "database-away")
            assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/orders").status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["checks"]["postgresql"]) == (503, ONLY_READS)

    set_read_only(read_only, "off")
    assert place(client)
    assert client.get("/readyz").status_code == 200


def test_a_command_on_a_primary_that_only_reads_is_one_sentence(read_only: str, valkey: ValkeyServer) -> None:
    result = make_app(read_only, valkey.url).test_cli_runner().invoke(args=["rebuild"])

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The database takes no changes; set DATABASE_URL to the primary. (")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("kind", "lacking", "path", "command"),
    [
        ("UndefinedTable", "DROP TABLE order_summary_read_models CASCADE", "/orders", "verify"),
        ("UndefinedColumn", "ALTER TABLE order_summary_read_models DROP COLUMN placed_at CASCADE", "/orders", "verify"),
        ("UndefinedFunction", "ALTER FUNCTION log_epoch() RENAME TO another", "/events", "catch-up"),
    ],
)
def test_an_earlier_migration_is_no_internal_error(
    app: Flask, sessions: sessionmaker[Session], kind: str, lacking: str, path: str, command: str
) -> None:
    run(sessions, lacking)

    problem(app.test_client().get(path), 503, "database-away")
    result = app.test_cli_runner().invoke(args=[command])
    assert f": The database is not migrated; run `flask db upgrade`. ({kind}: " in result.stderr


def test_a_role_without_its_rights_is_no_internal_error(
    database_url: str, postgres: PostgresServer, valkey: ValkeyServer
) -> None:
    name = make_url(database_url).database
    url = make_url(postgres.service_url).set(database=name).render_as_string(hide_password=False)
    app = make_app(url, valkey.url)

    problem(app.test_client().get("/orders"), 503, "database-away")
    problem(send(app.test_client(), "place_order", ""), 503, "database-away")
    result = app.test_cli_runner().invoke(args=["catch-up"])
    assert (
        "The database refuses this to its role; set DATABASE_OWNER_URL, or run migrations/roles.sql. (" in result.stderr
    )


@pytest.fixture
def sql_ascii(postgres: PostgresServer) -> Iterator[str]:
    with psycopg.connect(postgres.superuser_url, autocommit=True, dbname="postgres") as connection:
        connection.execute("CREATE DATABASE sql_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
        yield make_url(postgres.superuser_url).set(database="sql_ascii").render_as_string(hide_password=False)
        connection.execute("DROP DATABASE sql_ascii WITH (FORCE)")


@pytest.mark.parametrize(
    ("process", "sentence"),
    [
        ("web", f"orderlog: {ENCODING}"),
        ("worker", f"orderlog: {ENCODING}"),
        ("command", f"Error: {ENCODING}"),
        ("migration", f"Error: {ENCODING}"),
    ],
)
def test_a_database_of_another_encoding_is_refused_at_start(
    sql_ascii: str, valkey: ValkeyServer, tmp_path: Path, process: str, sentence: str
) -> None:
    done = start(process, tmp_path, {**GOOD, "DATABASE_URL": sql_ascii, "REDIS_URL": valkey.url})

    assert_one_sentence(done, sentence)


def test_a_database_of_another_encoding_is_not_ready(sql_ascii: str, valkey: ValkeyServer) -> None:
    client = make_app(sql_ascii, valkey.url).test_client()

    assert client.get("/readyz").get_json()["checks"]["postgresql"] == ENCODING
    problem(send(client, "place_order", ""), 503, "database-away")


def test_a_lost_prepared_statement_is_no_internal_error(
    client: FlaskClient, sessions: sessionmaker[Session], caplog: pytest.LogCaptureFixture
) -> None:
    """As behind a pooler that was not found out."""
    run(
        sessions,
        """
        CREATE FUNCTION lose_statements() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN DEALLOCATE ALL; RETURN NULL; END $$
        """,
        "CREATE TRIGGER lose_statements AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION lose_statements()",
    )
    statuses = []
    for _ in range(20):
        answer = send(client, "place_order", "")
        statuses.append(answer.status_code)
        if answer.status_code != 201:
            problem(answer, 503, "database-away")

    assert statuses.count(503) > 0
    assert statuses.count(201) > statuses.count(503)
    assert "set DATABASE_POOLER=transaction if a pooler is between" in caplog.text


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["the first is away", "the second is away"])
def test_a_url_may_name_two_servers(
    database_url: str, valkey: ValkeyServer, sessions: sessionmaker[Session], tmp_path: Path, order: tuple[int, int]
) -> None:
    url = make_url(database_url)
    servers = [f"127.0.0.1:{(1, url.port)[which]}" for which in order]
    both = f"postgresql://{url.username}:{url.password}@{','.join(servers)}/{url.database}"

    with WebServer(both, valkey.url, tmp_path / "web.log") as server:
        order_id = place(server.client)
        accepted(send(server.client, "add_item", order_id), order_id, version=2)
        assert json.loads(server.client.get("/readyz").data)["checks"]["postgresql"] == "ok"
    done = start("command", tmp_path, {**GOOD, "DATABASE_URL": both, "REDIS_URL": valkey.url})
    assert (done.returncode, done.stderr) == (0, "")
