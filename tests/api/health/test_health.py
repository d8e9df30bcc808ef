"""Whether the process runs, whether it can serve, and what is missing if not."""

import socket
import time
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from redis import Redis

from local.servers import PostgresServer, ValkeyServer
from tests.conftest import make_app
from tests.support.calls import place, problem, read
from tests.support.databases import crash

NOTHING_LISTENS = "127.0.0.1:1"


def test_the_process_lives(client: FlaskClient) -> None:
    answer = client.get("/livez")

    assert answer.status_code == 200
    assert read(answer) == {"status": "alive"}


def test_the_process_lives_without_any_server(valkey: ValkeyServer) -> None:
    app = make_app(f"postgresql://{NOTHING_LISTENS}/orderlog", valkey.url)
    app.config["BROKER_URL"] = f"redis://{NOTHING_LISTENS}"

    assert app.test_client().get("/livez").status_code == 200


def assert_degraded(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    document = read(answer)
    assert document["status"] == "degraded"
    assert document["checks"]["postgresql"] == "ok"
    assert document["checks"]["redis"].startswith("Redis does not answer")
    assert place(client)


def test_it_is_degraded_but_ready_without_redis(app: Flask, client: FlaskClient) -> None:
    app.config["BROKER_URL"] = f"redis://{NOTHING_LISTENS}"

    assert_degraded(client)


def test_it_is_degraded_when_redis_refuses_the_password(app: Flask, client: FlaskClient, valkey: ValkeyServer) -> None:
    app.config["BROKER_URL"] = f"redis://:wrong@127.0.0.1:{valkey.port}/0"

    assert_degraded(client)


def test_it_is_degraded_when_redis_was_made_a_replica(
    app: Flask, client: FlaskClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ValkeyServer(tmp_path) as broker, Redis.from_url(broker.url) as operator:
        app.config["BROKER_URL"] = broker.url
        operator.replicaof("127.0.0.1", 1)

        told = read(client.get("/readyz"))

        assert told["status"] == "degraded"
        assert told["checks"]["redis"].startswith("Redis refuses to write, as the log says; ")
        assert "Redis refuses to write: You can't write against a read only" in caplog.text
        assert place(client)


def test_it_is_degraded_soon_when_redis_accepts_and_never_answers(app: Flask, client: FlaskClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app.config["BROKER_URL"] = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        asked = time.monotonic()

        assert_degraded(client)

    assert time.monotonic() - asked < 2


def test_it_is_not_ready_without_postgresql_until_it_is_back(tmp_path: Path, valkey: ValkeyServer) -> None:
    with PostgresServer(tmp_path) as postgres:
        app = make_app(postgres.superuser_url, valkey.url)
        with app.app_context():
            upgrade()
        client = app.test_client()
        assert client.get("/readyz").status_code == 200

        crash(postgres)
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        document = problem(answer, 503, "not-ready")
        assert document["detail"] == "PostgreSQL does not answer"
        assert document["checks"] == {"postgresql": "PostgreSQL does not answer", "redis": "ok"}
        assert client.get("/livez").status_code == 200

        postgres.start()
        assert client.get("/readyz").status_code == 200
        with app.app_context():
            app.extensions["sqlalchemy"].engine.dispose()


def test_it_is_not_ready_until_the_database_is_migrated(empty_database: str, valkey: ValkeyServer) -> None:
    app = make_app(empty_database, valkey.url)
    client = app.test_client()
    migrated_to = []
    for revision in ("0001", "head"):
        answer = client.get("/readyz")
        document = problem(answer, 503, "not-ready")
        assert document["checks"]["redis"] == "ok"
        assert "run `flask db upgrade`" in document["checks"]["postgresql"]
        migrated_to.append(document["checks"]["postgresql"].split(",")[0])
        with app.app_context():
            upgrade(revision=revision)

    assert migrated_to == ["the database is at migration None", "the database is at migration 0001"]
    assert client.get("/readyz").status_code == 200
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()
