"""Real servers for every test: one PostgreSQL and one Valkey per run, a fresh database per test."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from flask_migrate import upgrade
from limits.storage import RedisStorage
from psycopg import sql
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker

from core.database import session_factory
from local.servers import PostgresServer, ValkeyServer
from webapp import create_app
from webapp.api import commands

TEMPLATE = "migrated"
database_numbers = itertools.count(1)
made: list[Flask] = []


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        # celeryconfig.py reads this when the first test enqueues.
        os.environ["REDIS_URL"] = server.url
        yield server


def database(server: PostgresServer, name: str) -> str:
    return make_url(server.url).set(database=name).render_as_string(hide_password=False)


def make_app(database_url: str, redis_url: str, **config: Any) -> Flask:
    """On loopback without keys or limits, unless `config` asks for them."""
    os.environ["DATABASE_URL"] = database_url
    os.environ["REDIS_URL"] = redis_url
    os.environ["ORDERLOG_AUTH"] = "off"
    app = create_app({"TESTING": True, "PROPAGATE_EXCEPTIONS": False, **config})
    made.append(app)
    return app


@pytest.fixture(autouse=True)
def _close_apps() -> Iterator[None]:
    """Their connections to the broker, which would be found open by the garbage collection of a later test."""
    yield
    while made:
        app = made.pop()
        app.extensions[commands.ENQUEUER].close()
        for limiter in app.extensions.get("limiter", ()):
            storage = limiter.storage
            if isinstance(storage, RedisStorage):
                storage.storage.close()


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer, valkey: ValkeyServer) -> str:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    app = make_app(database(postgres, TEMPLATE), valkey.url)
    with app.app_context():
        upgrade()
        app.extensions["sqlalchemy"].engine.dispose()
    return TEMPLATE


@pytest.fixture
def database_url(postgres: PostgresServer, migrated_template: str) -> Iterator[str]:
    """A migrated, empty database of the test's own."""
    name = f"test_{next(database_numbers)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        names = sql.Identifier(name), sql.Identifier(migrated_template)
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        yield database(postgres, name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(names[0]))


@pytest.fixture
def sessions(database_url: str) -> Iterator[sessionmaker[Session]]:
    """Opens sessions the way workers do."""
    factory = session_factory(database_url)
    yield factory
    factory.kw["bind"].dispose()


@pytest.fixture
def app(database_url: str, valkey: ValkeyServer) -> Iterator[Flask]:
    app = make_app(database_url, valkey.url)
    yield app
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


@pytest.fixture
def project_root() -> Path:
    return Path(__file__).parent.parent
