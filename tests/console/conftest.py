"""The console by Flask's test client, and by a browser on a real web server."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from local.servers import ValkeyServer
from tests.conftest import make_app
from tests.support.keys import EVERY_SCOPE, Keys

SECRET_KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def keys(sessions: sessionmaker[Session]) -> Keys:
    return Keys(sessions)


@pytest.fixture
def guarded_app(database_url: str, valkey: ValkeyServer) -> Iterator[Flask]:
    """Asks for keys."""
    app = make_app(database_url, valkey.url, AUTH=True, SECRET_KEY=SECRET_KEY)
    yield app
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


@pytest.fixture
def guarded(guarded_app: Flask) -> FlaskClient:
    return guarded_app.test_client()


@pytest.fixture
def signed_in(guarded: FlaskClient, keys: Keys) -> FlaskClient:
    """With a key that has every scope, of the name shop."""
    assert sign_in(guarded, keys.create(*EVERY_SCOPE).text) == 303
    return guarded


def sign_in(client: FlaskClient, text: str) -> int:
    """The status of the answer."""
    form = {"key": text, "csrf_token": token(client)}
    return client.post("/console/sign-in", data=form).status_code


def token(client: FlaskClient, path: str = "/console/sign-in") -> str:
    """Of the first form of that page that posts."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]
