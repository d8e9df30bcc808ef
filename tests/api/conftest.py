"""What API tests need beyond the application."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from local.servers import PostgresServer, ValkeyServer
from tests.conftest import make_app
from tests.support.contract import ContractClient
from tests.support.databases import new_database
from tests.support.hints import Queue
from tests.support.keys import Keys


@pytest.fixture
def app(app: Flask) -> Flask:
    """Its clients check every answer."""
    app.test_client_class = ContractClient
    return app


@pytest.fixture
def queue(valkey: ValkeyServer) -> Iterator[Queue]:
    with Redis.from_url(valkey.url) as redis:
        yield Queue(redis)


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[str]:
    """Not migrated."""
    with new_database(postgres) as url:
        yield url


@pytest.fixture
def keys(sessions: sessionmaker[Session]) -> Keys:
    return Keys(sessions)


@pytest.fixture
def guarded_app(database_url: str, valkey: ValkeyServer) -> Iterator[Flask]:
    """Asks for keys."""
    app = make_app(database_url, valkey.url, AUTH=True)
    app.test_client_class = ContractClient
    yield app
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


@pytest.fixture
def guarded(guarded_app: Flask) -> FlaskClient:
    return guarded_app.test_client()
