"""The console by Flask's test client, and by a browser on a real web server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page
from sqlalchemy.orm import Session, sessionmaker

from local.servers import ValkeyServer
from tests.conftest import make_app
from tests.support.browser import listen, running_chromium
from tests.support.console import sign_in
from tests.support.keys import EVERY_SCOPE, Keys
from tests.support.waiting import LONG
from tests.support.web_server import WebServer

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
    assert sign_in(guarded, keys.create(*EVERY_SCOPE).text).status_code == 303
    return guarded


@pytest.fixture
def server(database_url: str, valkey: ValkeyServer, tmp_path: Path) -> Iterator[WebServer]:
    """Without keys."""
    with WebServer(database_url, valkey.url, tmp_path / "web.log") as server:
        yield server


@pytest.fixture
def guarded_server(database_url: str, valkey: ValkeyServer, tmp_path: Path) -> Iterator[WebServer]:
    """Asks for keys."""
    log = tmp_path / "web.log"
    with WebServer(database_url, valkey.url, log, ORDERLOG_AUTH="on", SECRET_KEY=SECRET_KEY) as server:
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """Of a fresh browser with an English reader in Tokyo; at the end it must have had nothing to complain about."""
    context = chromium.new_context(locale="en-GB", timezone_id="Asia/Tokyo")
    context.set_default_timeout(LONG * 1000)  # milliseconds
    page = context.new_page()
    complaints = listen(page)
    yield page
    context.close()
    assert complaints == []
