"""Queries on a streaming replica: never older than what a client asks for, and plainly refused while it is away."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing.event_store import NewEvent
from core.event_sourcing.postgres_store import PostgresEventStore
from core.projection.catch_up import catch_up
from core.read_models import summary
from core.read_models.wiring import PROJECTORS
from local.servers import PostgresServer, ValkeyServer
from tests.conftest import make_app
from tests.support.calls import accepted, order_after, place, problem, read, send, show_everything
from tests.support.contract import ContractClient
from tests.support.databases import crash
from tests.support.examples import NOON, PLACED
from tests.support.read_side import project_all, run
from tests.support.replica import Replica
from tests.support.waiting import wait_until
from webapp.api.headers import LONGEST_WAIT
from webapp.api.waiting import WAITS, Waits
from webapp.database import db

WAIT = {"Prefer": "wait=10"}
SHORT_WAIT = {"Prefer": "wait=1"}
SOON = 0.5  # seconds, for the replica and the answer


@pytest.fixture(scope="module")
def replica(postgres: PostgresServer) -> Iterator[Replica]:
    with Replica(postgres) as server:
        yield server


@contextmanager
def serve_from(replica: Replica, database_url: str, valkey: ValkeyServer) -> Iterator[FlaskClient]:
    replica.catch_up()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_REPLICA_URL", replica.of(database_url))
        app = make_app(database_url, valkey.url)
    app.test_client_class = ContractClient
    yield app.test_client()
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture
def client(replica: Replica, database_url: str, valkey: ValkeyServer) -> Iterator[FlaskClient]:
    """Of an application whose queries go to the replica."""
    with serve_from(replica, database_url, valkey) as client:
        yield client


def once(ready: Callable[[], object], work: Callable[[], object]) -> Future[float]:
    """Work is done in a thread as soon as all is ready; the result is the time when it began."""

    def wait_and_work() -> float:
        wait_until(ready)
        began = time.monotonic()
        work()
        return began

    thread = ThreadPoolExecutor(1)
    done = thread.submit(wait_and_work)
    thread.shutdown(wait=False)
    return done


def once_it_waits(client: FlaskClient, work: Callable[[], object]) -> Future[float]:
    """The same, as soon as a request waits."""
    waits: Waits = client.application.extensions[WAITS]
    return once(lambda: waits._waiting, work)


def is_read_only(client: FlaskClient) -> None:
    """The list is really asked of a server in recovery."""
    asked: list[bool] = []

    def spy(session: Session, **arguments: Any) -> Any:
        asked.append(session.execute(text("SELECT pg_is_in_recovery()")).scalar_one())
        return [], None

    with patch.object(summary, "list_orders", spy):
        client.get("/orders")
    assert asked == [True]


def test_lists_statistics_and_present_details_come_from_the_replica(
    client: FlaskClient, replica: Replica, sessions: sessionmaker[Session]
) -> None:
    is_read_only(client)
    order_id = order_after(client, "add_item")
    project_all(sessions, order_id)
    replica.catch_up()

    with replica.paused():
        position = accepted(send(client, "confirm_order", order_id), order_id, version=3)
        project_all(sessions, order_id)

        assert read(client.get(f"/orders/{order_id}"))["version"] == 2
        assert read(client.get("/orders"))["orders"][0]["version"] == 2
        assert read(client.get("/orders/status/confirmed"))["orders"] == []
        assert read(client.get("/orders/statistics"))["confirmed_count"] == 0
        behind = problem(client.get(f"/orders/{order_id}?min_version=3"), 503, "read-model-behind")
        assert behind["version"] == 2
        for path in ("/orders", "/orders/status/confirmed", "/orders/statistics"):
            behind = problem(client.get(f"{path}?min_position={position}"), 503, "read-model-behind")
            assert behind["position"] < position

    shown = client.get(f"/orders/{order_id}?min_version=3", headers=WAIT)
    assert read(shown)["version"] == 3
    assert read(client.get(f"/orders?min_position={position}", headers=WAIT))["orders"][0]["version"] == 3
    assert read(client.get("/orders/statistics"))["confirmed_count"] == 1


def test_the_history_comes_from_the_primary(client: FlaskClient, replica: Replica) -> None:
    with replica.paused():
        order_id = order_after(client, "add_item", "confirm_order")

        assert len(read(client.get(f"/orders/{order_id}/events"))["events"]) == 3
        assert read(client.get(f"/orders/{order_id}?version=3"))["status"] == "confirmed"
        assert read(client.get(f"/orders/{order_id}/diff?from=1&to=3"))["changes"]
        assert problem(client.get(f"/orders/{order_id}"), 503, "read-model-behind")["version"] == 0


def test_a_query_that_waits_is_answered_as_soon_as_the_replica_shows_it(
    client: FlaskClient, replica: Replica, sessions: sessionmaker[Session]
) -> None:
    """The news of the projection has long come when the replica replays it."""
    replica.pause()
    order_id = place(client)
    position = accepted(send(client, "add_item", order_id), order_id, version=2)
    project_all(sessions, order_id)
    for path in (f"/orders/{order_id}?min_version=2", f"/orders?min_position={position}"):
        asked = time.monotonic()
        problem(client.get(path, headers=SHORT_WAIT), 503, "read-model-behind")
        assert 1 <= time.monotonic() - asked < LONGEST_WAIT  # test_waiting.py is strict

    resuming = once_it_waits(client, replica.resume)
    asked = time.monotonic()
    answer = client.get(f"/orders/{order_id}?min_version=2", headers=WAIT)
    answered = time.monotonic()

    assert read(answer)["version"] == 2
    resumed = resuming.result()
    assert 0 < answered - resumed < (resumed - asked) / 2 + SOON  # the lag is half as long again at the most
    assert read(client.get(f"/orders?min_position={position}", headers=WAIT))["orders"][0]["version"] == 2


def test_a_command_that_waits_waits_for_the_replica(
    client: FlaskClient, replica: Replica, sessions: sessionmaker[Session]
) -> None:
    with replica.paused():
        projecting = once_it_waits(client, lambda: show_everything(sessions))
        answer = send(client, "place_order", "", SHORT_WAIT)
        projecting.result()
        assert answer.status_code == 201
        assert "Preference-Applied" not in answer.headers

    projecting = once_it_waits(client, lambda: show_everything(sessions))
    answer = send(client, "place_order", "", WAIT)
    projecting.result()
    assert answer.headers["Preference-Applied"] == "wait"
    assert read(client.get(f"/orders/{read(answer)['order_id']}"))["version"] == 1


def test_an_earlier_position_that_was_committed_later_is_waited_for_too(
    client: FlaskClient, replica: Replica, sessions: sessionmaker[Session]
) -> None:
    """The replica then has a later event but not this one, of which it cannot know."""
    slow = sessions()
    store = PostgresEventStore(driver_connection(slow))
    [early] = store.append("ORDER-SLOW", 0, [NewEvent(event=PLACED, occurred_at=NOON)])
    order_id = place(client)
    late = accepted(send(client, "add_item", order_id), order_id, version=2)
    project_all(sessions, order_id)
    replica.catch_up()
    assert early.position < late
    assert client.get(f"/orders?min_position={late}").status_code == 200

    with replica.paused():
        slow.commit()
        project_all(sessions, "ORDER-SLOW")
        for position in (early.position, late):
            behind = problem(client.get(f"/orders?min_position={position}"), 503, "read-model-behind")
            assert behind["position"] < position

    for position in (early.position, late):
        assert len(read(client.get(f"/orders?min_position={position}", headers=WAIT))["orders"]) == 2


def test_a_position_that_the_replica_has_long_shown_is_shown_while_it_lags(
    client: FlaskClient, replica: Replica, sessions: sessionmaker[Session]
) -> None:
    order_id = place(client)
    position = accepted(send(client, "add_item", order_id), order_id, version=2)
    project_all(sessions, order_id)
    replica.catch_up()

    with replica.paused():
        send(client, "confirm_order", order_id)

        assert client.get(f"/orders?min_position={position}").status_code == 200


def test_without_the_replica_queries_are_refused_and_the_rest_goes_on(
    client: FlaskClient, replica: Replica, sessions: sessionmaker[Session]
) -> None:
    order_id = place(client)
    project_all(sessions, order_id)
    replica.catch_up()
    assert read(client.get("/readyz"))["checks"]["replica"] == "ok"

    crash(replica)
    for path in ("/orders", "/orders/statistics", f"/orders/{order_id}", "/orders/status/pending"):
        answer = client.get(path)
        problem(answer, 503, "database-away")
        assert int(answer.headers["Retry-After"]) > 0
    accepted(send(client, "add_item", order_id, {"Prefer": "wait=1"}), order_id, version=2)
    assert len(read(client.get(f"/orders/{order_id}/events"))["events"]) == 2
    ready = read(client.get("/readyz"))
    assert ready["status"] == "degraded"
    assert ready["checks"]["postgresql"] == "ok"
    assert ready["checks"]["replica"].startswith("the replica does not answer")
    status = client.application.test_cli_runner().invoke(args=["status"])
    assert status.exit_code == 0, status.output

    replica.start()
    assert read(client.get(f"/orders/{order_id}"))["version"] == 1


def test_a_replica_that_lags_is_told(client: FlaskClient, replica: Replica, sessions: sessionmaker[Session]) -> None:
    for name, projector in PROJECTORS.items():
        catch_up(sessions, name, projector)
    replica.catch_up()
    assert read(client.get("/readyz"))["checks"]["replica"] == "ok"

    with replica.paused():
        run(sessions, "UPDATE projector_checkpoints SET checked_at = checked_at + interval '20 seconds'")
        ready = read(client.get("/readyz"))
        assert ready["status"] == "degraded"
        assert ready["checks"]["replica"] == "the replica is 20 s behind; queries show the past"


def test_a_replica_that_was_promoted_is_told_and_shows_nothing_as_new(
    postgres: PostgresServer, database_url: str, valkey: ValkeyServer, sessions: sessionmaker[Session]
) -> None:
    with Replica(postgres, "promoted") as promoted, serve_from(promoted, database_url, valkey) as client:
        first = place(client)
        project_all(sessions, first)
        promoted.catch_up()
        promoted.promote()

        second = place(client)
        position = accepted(send(client, "add_item", second), second, version=2)
        project_all(sessions, second)

        assert read(client.get("/readyz"))["checks"]["replica"].startswith("the replica follows no server any more")
        assert read(client.get(f"/orders/{first}"))["version"] == 1
        problem(client.get(f"/orders/{second}"), 503, "read-model-behind")
        problem(client.get(f"/orders?min_position={position}"), 503, "read-model-behind")


def test_a_query_in_the_way_of_the_replay_is_told_to_come_again(
    client: FlaskClient, replica: Replica, database_url: str
) -> None:
    """The replica cancels it once `max_standby_streaming_delay` is over."""
    with replica.connect() as connection:
        connection.execute("ALTER SYSTEM SET max_standby_streaming_delay = '100ms'")
        connection.execute("SELECT pg_reload_conf()")

    reading = Event()

    def slow(session: Session, **arguments: Any) -> Any:
        session.execute(text("SELECT count(*) FROM order_summary_read_models"))
        session.execute(text("SET LOCAL statement_timeout = 0"))
        reading.set()
        session.execute(text("SELECT pg_sleep(60)"))
        return [], None

    def be_in_the_way() -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute("LOCK TABLE order_summary_read_models IN ACCESS EXCLUSIVE MODE")

    with patch.object(summary, "list_orders", slow):
        locking = once(reading.is_set, be_in_the_way)
        answer = client.get("/orders")
        locking.result()

    problem(answer, 503, "database-busy")
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/orders").status_code == 200
