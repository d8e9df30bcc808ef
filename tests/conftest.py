"""Real servers for every test: one PostgreSQL and one Valkey per process of pytest, a fresh database per test."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from flask_migrate import upgrade
from sqlalchemy.orm import Session, sessionmaker

from core.database import session_factory
from local import servers
from local.servers import PostgresServer, ValkeyServer
from tests.support.databases import new_database
from tests.support.pooler import POOLER, PgBouncer
from tests.support.ports import own_port
from webapp import create_app
from webapp.api import commands
from webapp.gate.rate_limits import LIMITS

# By the size of drills that DRILL names: `make test` asks for none, `make drill` for full ones.
LEFT_OUT = {"": {"long", "full"}, "short": {"full"}, "full": set[str]()}
made: list[Flask] = []


def pytest_configure() -> None:
    """A shell's background jobs ignore Ctrl-C, and so would every process that a test starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests to `make drill`, and those of a pooler to `make test POOLER=pgbouncer`."""
    left_out = LEFT_OUT[os.environ.get("DRILL", "")] | (set() if POOLER else {"pooler"})
    left = [item for item in items if left_out & {marker.name for marker in item.iter_markers()}]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.fixture(scope="session", autouse=True)
def _own_ports() -> Iterator[None]:
    """Several processes of pytest start servers at the same time; a port that is free now is not free for long."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(servers, "free_port", own_port)
        yield


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        # worker/settings.py reads this when the first test enqueues.
        os.environ["REDIS_URL"] = server.url
        yield server


def make_app(database_url: str, redis_url: str, **config: Any) -> Flask:
    """On loopback without keys or limits, unless `config` asks for them."""
    os.environ["DATABASE_URL"] = database_url
    os.environ["REDIS_URL"] = redis_url
    os.environ["ORDERLOG_AUTH"] = "off"
    app = create_app({"TESTING": True, "PROPAGATE_EXCEPTIONS": False, "READINESS_SECONDS": 0, **config})
    made.append(app)
    return app


@pytest.fixture(autouse=True)
def _close_apps() -> Iterator[None]:
    """Their connections, which would be found open by the garbage collection of a later test."""
    yield
    while made:
        app = made.pop()
        with app.app_context():
            for engine in app.extensions["sqlalchemy"].engines.values():
                engine.dispose()
        app.extensions[commands.ENQUEUER].close()
        if LIMITS in app.extensions:
            app.extensions[LIMITS].close()


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer, valkey: ValkeyServer) -> str:
    """The name of a database to copy: the server's own, migrated."""
    app = make_app(postgres.owner_url, valkey.url)
    with app.app_context():
        upgrade()
        for engine in app.extensions["sqlalchemy"].engines.values():
            engine.dispose()
    return "orderlog"


@pytest.fixture(scope="session")
def way(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Makes the URL by which tests reach a database: by way of PgBouncer where TEST_POOLER says so."""
    if not POOLER:
        yield str
        return
    with PgBouncer(tmp_path_factory.mktemp("pgbouncer"), postgres.superuser_url) as pooler:
        yield pooler.of


@pytest.fixture
def direct_url(postgres: PostgresServer, migrated_template: str) -> Iterator[str]:
    """A migrated, empty database of the test's own; for those who watch PostgreSQL itself."""
    with new_database(postgres, migrated_template) as url:
        yield url


@pytest.fixture
def database_url(direct_url: str, way: Callable[[str], str]) -> str:
    """The same, by the way that the service takes."""
    return way(direct_url)


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
