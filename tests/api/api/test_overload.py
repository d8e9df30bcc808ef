"""What cannot be had soon is refused soon: locked tables and used-up connections answer 503, and recover."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from core.api_keys import Scope
from local.servers import ValkeyServer
from tests.conftest import make_app
from tests.support.calls import COMMANDS, place, problem
from tests.support.keys import Keys, bearing
from webapp.database import sessions as hurried
from webapp.database import unhurried_sessions

TIMEOUT = 0.3
SOON = TIMEOUT + 1.5  # what a busy machine may add


@pytest.fixture
def hasty(database_url: str, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setenv("STATEMENT_TIMEOUT", str(TIMEOUT))
    monkeypatch.setenv("POOL_TIMEOUT", str(TIMEOUT))
    app = make_app(database_url, valkey.url)
    yield app
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


def assert_busy_soon(client: FlaskClient, method: str, path: str, headers: dict[str, str] | None = None) -> None:
    body = COMMANDS["place_order"][1] if method == "POST" else None
    asked = time.monotonic()

    answer = client.open(path, method=method, json=body, headers=headers)

    assert time.monotonic() - asked < SOON
    problem(answer, 503, "database-busy")
    assert int(answer.headers["Retry-After"]) > 0
    for inside in ("LOCK", "SELECT", "INSERT", "QueuePool", "statement timeout", "sqlalche"):
        assert inside not in answer.text


def test_a_locked_table_is_not_waited_for(hasty: Flask, database_url: str) -> None:
    client = hasty.test_client()
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE events, order_summary_read_models, order_statistics IN ACCESS EXCLUSIVE MODE")
        assert_busy_soon(client, "POST", "/orders")
        assert_busy_soon(client, "GET", "/orders")
        assert_busy_soon(client, "GET", "/orders/statistics")

    assert place(client)


def test_used_up_connections_are_not_waited_for(hasty: Flask) -> None:
    client = hasty.test_client()
    with hasty.app_context(), ExitStack() as held:
        engine = hasty.extensions["sqlalchemy"].engine
        for _ in range(engine.pool.size()):
            held.enter_context(engine.connect())
        assert_busy_soon(client, "POST", "/orders")
        assert_busy_soon(client, "GET", "/orders")

    assert place(client)


def test_keys_that_cannot_be_looked_up_open_nothing(
    database_url: str, valkey: ValkeyServer, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATEMENT_TIMEOUT", str(TIMEOUT))
    app = make_app(database_url, valkey.url, AUTH=True)
    key = bearing(keys.create(Scope.ORDERS_READ).text)
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE")
        assert_busy_soon(app.test_client(), "GET", "/orders", key)

    assert app.test_client().get("/orders", headers=key).status_code == 200
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


def test_commands_of_the_service_may_take_their_time(hasty: Flask) -> None:
    too_long = text(f"SELECT pg_sleep({TIMEOUT * 2})")
    with hasty.app_context():
        with pytest.raises(Exception, match="statement timeout"), hurried().begin() as session:
            session.execute(too_long)
        with unhurried_sessions().begin() as session:
            assert session.execute(too_long).one() is not None
        with pytest.raises(Exception, match="statement timeout"), hurried().begin() as session:
            session.execute(too_long)
