"""Without PostgreSQL every request that needs it is told to come back, and works once it is back."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade

from local.servers import PostgresServer, ValkeyServer
from tests.conftest import make_app
from tests.support.calls import (
    COMMANDS,
    Answer,
    accepted,
    example_path,
    example_query,
    faults,
    order_after,
    place,
    problem,
    send,
)
from tests.support.databases import crash
from webapp.api.events import stream_events
from webapp.gate.auth import OPEN
from webapp.operations import OPERATIONS

# But streams, which no client of Flask can read.
QUERIES = [
    f"{example_path(operation)}?{urlencode(example_query(operation))}"
    for operation in OPERATIONS
    if operation.method == "get" and operation.scope != OPEN and operation.view is not stream_events
]


def every_answer(client: FlaskClient, order_id: str = "ORDER-001") -> Iterator[Answer]:
    """To each command and each query."""
    for command in COMMANDS:
        yield send(client, command, order_id)
    for path in QUERIES:
        yield client.get(path)


def assert_away(answer: Answer) -> None:
    problem(answer, 503, "database-away")
    assert int(answer.headers["Retry-After"]) > 0
    for inside in ("Traceback", "psycopg", "sqlalchemy", "127.0.0.1", "password", "events"):
        assert inside not in answer.text.replace("errors", "")


def migrate(app: Flask) -> None:
    with app.app_context():
        upgrade()


def close(app: Flask) -> None:
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


def test_a_postgresql_that_was_killed_and_comes_back(tmp_path: Path, valkey: ValkeyServer) -> None:
    with PostgresServer(tmp_path) as postgres:
        app = make_app(postgres.superuser_url, valkey.url)
        migrate(app)
        client = app.test_client()
        order_id = order_after(client, "add_item")

        crash(postgres)
        asked = time.monotonic()
        answers = list(every_answer(client, order_id))
        assert time.monotonic() - asked < 5
        for answer in answers:
            assert_away(answer)
        assert list(faults(send(client, "cancel_order", order_id, reason=""))) == ["#/reason"]  # needs no database
        problem(client.get("/nowhere"), 404, "not-found")

        postgres.start()
        accepted(send(client, "confirm_order", order_id), order_id, version=3)
        close(app)


def test_a_postgresql_that_never_was_there(valkey: ValkeyServer) -> None:
    app = make_app("postgresql://orderlog:secret-password@127.0.0.1:1/orderlog", valkey.url)

    for answer in every_answer(app.test_client()):
        assert_away(answer)


def test_connections_that_the_server_has_ended_are_not_handed_to_a_request(
    client: FlaskClient, direct_url: str
) -> None:
    order_id = place(client)
    with psycopg.connect(direct_url, autocommit=True) as connection:
        ended = connection.execute("""
            SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'orderlog'
        """).fetchall()
    assert set(ended) == {(True,)}  # and gone, which the signal alone does not say

    accepted(send(client, "add_item", order_id), order_id, version=2)


def test_a_database_that_is_not_migrated_counts_as_away_until_it_is(empty_database: str, valkey: ValkeyServer) -> None:
    app = make_app(empty_database, valkey.url)
    client = app.test_client()

    for answer in every_answer(client):
        assert_away(answer)

    migrate(app)
    assert place(client)
    close(app)
