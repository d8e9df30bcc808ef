"""Waiting for what no worker shows: it ends in time, and holds nothing that others need."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import column, table
from sqlalchemy.orm import Session, sessionmaker

from core.database import ENGINE_OPTIONS
from core.projection.catch_up import catch_up
from core.projection.project import project
from core.read_models.wiring import PROJECTORS
from local.servers import PostgresServer, ValkeyServer
from tests.conftest import make_app
from tests.support.calls import accepted, place, problem, read, send, show_everything
from tests.support.databases import crash
from tests.support.factories import told_of
from tests.support.read_side import run
from tests.support.remote import Remote
from tests.support.waiting import wait_until
from tests.support.web_server import TELLS_OF_WAITS, WebServer
from webapp.api.headers import LONGEST_WAIT
from webapp.api.waiting import MOST_WAITS, RECHECK_SECONDS, Waits

BACKENDS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'orderlog%'"


def elapsed(since: float) -> float:
    return time.monotonic() - since


@pytest.fixture
def waits_begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file that is there once a request has begun to wait."""
    file = tmp_path / "waits"
    monkeypatch.setattr(Waits, "_news_of", told_of(file, Waits._news_of))
    return file


@contextmanager
def while_another_waits_longer(client: FlaskClient, sessions: sessionmaker[Session]) -> Iterator[None]:
    """The block ends before the longest wait there is, however busy the machine is with other things."""
    with ThreadPoolExecutor(1) as thread:
        headers = {"Prefer": f"wait={LONGEST_WAIT}"}
        longest = thread.submit(send, client.application.test_client(), "place_order", "", headers)
        yield
        assert not longest.done()
        show_everything(sessions)


def test_a_command_answers_as_usual_when_the_time_is_over(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    with while_another_waits_longer(client, sessions):
        asked = time.monotonic()
        answer = send(client, "place_order", "", {"Prefer": "wait=1"})
        assert elapsed(asked) >= 1

    accepted(answer, read(answer)["order_id"], version=1)
    assert "Preference-Applied" not in answer.headers


def test_a_command_waits_for_both_summary_and_details(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = place(client)
    for name in ("summary", "details"):
        answer = send(client, "add_item", order_id, {"Prefer": "wait=1"})
        assert "Preference-Applied" not in answer.headers, name
        project(sessions, PROJECTORS[name], [order_id])


def test_a_later_read_model_does_not_slow_a_command(
    client: FlaskClient, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = place(client)
    names = list(PROJECTORS)
    run(sessions, "CREATE TABLE later_read_models (LIKE order_summary_read_models)")
    empty = table("later_read_models", column("order_id"), column("version"))
    monkeypatch.setitem(PROJECTORS, "later", cast(Any, SimpleNamespace(tables=(empty,))))  # never catches up
    for name in names:
        project(sessions, PROJECTORS[name], [order_id])
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(send, client.application.test_client(), "add_item", order_id, {"Prefer": "wait=10"})
        while not waiting.done():
            for name in names:
                project(sessions, PROJECTORS[name], [order_id])

    assert waiting.result().headers["Preference-Applied"] == "wait"


def test_a_query_that_may_not_wait_says_at_once_what_is_shown(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    order_id = place(client)
    shown = read(send(client, "add_item", order_id))["position"]
    show_everything(sessions)
    position = read(send(client, "add_item", order_id))["position"]

    answer = client.get(f"/orders/{order_id}?min_version=3")
    assert problem(answer, 503, "read-model-behind")["version"] == 2
    assert int(answer.headers["Retry-After"]) > 0
    for path in ("/orders", "/orders/status/pending", "/orders/statistics"):
        answer = client.get(f"{path}?min_position={position}")
        assert problem(answer, 503, "read-model-behind")["position"] == shown, path
        assert int(answer.headers["Retry-After"]) > 0
        assert client.get(f"{path}?min_position={shown}").status_code == 200, path
    assert read(client.get(f"/orders/{order_id}?min_version=2"))["version"] == 2


@pytest.mark.parametrize("path", ["/orders/{}?min_version=1", "/orders/{}", "/orders?min_position={}"])
def test_a_query_waits_as_long_as_it_may(client: FlaskClient, sessions: sessionmaker[Session], path: str) -> None:
    placed = read(send(client, "place_order", ""))

    with while_another_waits_longer(client, sessions):
        asked = time.monotonic()
        place_of = placed["position"] if "position" in path else placed["order_id"]
        problem(client.get(path.format(place_of), headers={"Prefer": "wait=1"}), 503, "read-model-behind")
        assert elapsed(asked) >= 1


def test_a_version_that_is_not_stored_is_not_waited_for(client: FlaskClient, waits_begun: Path) -> None:
    order_id = place(client)

    answer = client.get(f"/orders/{order_id}?min_version=2", headers={"Prefer": "wait=10"})
    assert problem(answer, 404, "no-such-version")["latest_version"] == 1
    problem(client.get("/orders/ORDER-404?min_version=2", headers={"Prefer": "wait=10"}), 404, "order-not-found")
    assert not waits_begun.exists()


def test_a_position_that_is_not_stored_is_not_waited_for(client: FlaskClient, waits_begun: Path) -> None:
    latest = read(send(client, "place_order", ""))["position"]

    for path in ("/orders", "/orders/status/pending", "/orders/statistics"):
        answer = client.get(f"{path}?min_position={latest + 1}", headers={"Prefer": "wait=10"})
        assert problem(answer, 404, "no-such-position")["latest_position"] == latest, path
    assert not waits_begun.exists()
    client.get(f"/orders?min_position={latest}", headers={"Prefer": "wait=1"})
    assert waits_begun.exists()


def test_an_empty_log_has_no_position(client: FlaskClient) -> None:
    assert problem(client.get("/orders?min_position=1"), 404, "no-such-position")["latest_position"] == 0


def test_a_position_counts_as_shown_with_and_without_a_checkpoint(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    first = read(send(client, "place_order", ""))["position"]
    other = read(send(client, "place_order", ""))
    project(sessions, PROJECTORS["summary"], [other["order_id"]])

    # The later order is shown and the earlier is not, so nothing is up to either.
    for position in (first, other["position"]):
        answer = client.get(f"/orders?min_position={position}")
        assert problem(answer, 503, "read-model-behind")["position"] == first - 1

    catch_up(sessions, "summary", PROJECTORS["summary"])
    assert len(read(client.get(f"/orders?min_position={other['position']}"))["orders"]) == 2


def test_an_order_may_be_read_before_the_list_shows_it(
    client: FlaskClient, sessions: sessionmaker[Session], waits_begun: Path
) -> None:
    order_id = place(client)
    project(sessions, PROJECTORS["details"], [order_id])

    answer = client.get(f"/orders/{order_id}?min_version=1", headers={"Prefer": "wait=10"})

    assert read(answer)["version"] == 1
    assert not waits_begun.exists()


@pytest.fixture
def web(database_url: str, direct_url: str, valkey: ValkeyServer, tmp_path: Path) -> Iterator[WebServer]:
    past_a_pooler: dict[str, Any] = {"DATABASE_DIRECT_URL": direct_url} if direct_url != database_url else {}
    with WebServer(database_url, valkey.url, tmp_path / "web.log", app=TELLS_OF_WAITS, **past_a_pooler) as server:
        yield server


def place_and_wait(client: Remote, seconds: int) -> tuple[str | None, float]:
    """Whether it was shown, and how long it took."""
    asked = time.monotonic()
    answer = send(client, "place_order", "", {"Prefer": f"wait={seconds}"})
    assert answer.status_code == 201
    return answer.headers.get("Preference-Applied"), elapsed(asked)


def read_and_wait(client: Remote, path: str, seconds: int) -> tuple[str | None, float]:
    """The same, of what nobody projects."""
    asked = time.monotonic()
    problem(client.get(path, {"Prefer": f"wait={seconds}"}), 503, "read-model-behind")
    return None, elapsed(asked)


def test_waits_are_capped_and_hold_no_connection_and_no_lock(
    web: WebServer, direct_url: str, sessions: sessionmaker[Session]
) -> None:
    client = web.client
    placed = read(send(client, "place_order", ""))
    paths = [f"/orders/{placed['order_id']}?min_version=1", f"/orders?min_position={placed['position']}"]
    tried, longest = MOST_WAITS + 4, 8
    with ThreadPoolExecutor(tried) as threads, psycopg.connect(direct_url, autocommit=True) as connection:
        waits = [threads.submit(read_and_wait, client, path, longest) for path in paths * 2]
        waits += [threads.submit(place_and_wait, client, longest) for _ in range(tried - len(waits))]
        wait_until(lambda: sum(each.done() for each in waits) == tried - MOST_WAITS)
        web.wait_for_waits(MOST_WAITS)

        busy = f"SELECT count(*) {BACKENDS} AND (state <> 'idle' OR xact_start IS NOT NULL)"

        def is_quiet() -> bool:
            """For the most part: each wait asks again once a second, for a moment."""
            return [connection.execute(busy).fetchone() for _ in range(20)].count((0,)) >= 15

        wait_until(is_quiet)
        locks = "SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid() AND relation::regclass::text LIKE 'order%'"
        assert (0,) in [connection.execute(locks).fetchone() for _ in range(5)]
        assert place(client)
        assert client.get("/orders").status_code == 200
        assert sum(each.done() for each in waits) == tried - MOST_WAITS  # the others still wait

        seconds = sorted(taken for applied, taken in (each.result() for each in waits) if applied is None)

    assert len(seconds) == tried
    at_once, waited = seconds[: tried - MOST_WAITS], seconds[tried - MOST_WAITS :]
    assert max(at_once) < longest <= min(waited)


def test_more_may_wait_than_the_pool_has_connections_on_several_processes(
    database_url: str, valkey: ValkeyServer, tmp_path: Path, sessions: sessionmaker[Session]
) -> None:
    """All are shown by one projection, which wakes them."""
    with WebServer(database_url, valkey.url, tmp_path / "web.log", app=TELLS_OF_WAITS, processes=2) as server:
        position = read(send(server.client, "place_order", ""))["position"]
        ask = partial(server.client.get, f"/orders?min_position={position}", {"Prefer": "wait=10"})
        with ThreadPoolExecutor(ENGINE_OPTIONS["pool_size"] + 2) as threads:
            waits = [threads.submit(ask) for _ in range(ENGINE_OPTIONS["pool_size"] + 2)]
            server.wait_for_waits(MOST_WAITS)
            asked = time.monotonic()
            show_everything(sessions)
            answers = [each.result() for each in waits]
            took = elapsed(asked)  # before the server stops, which waits for processes that are still starting

    assert took < 5
    assert sum(answer.status_code == 200 for answer in answers) >= MOST_WAITS
    assert {answer.status_code for answer in answers} <= {200, 503}


def wait_for_a_shown_order(web: WebServer, sessions: sessionmaker[Session], waits: int) -> float:
    """The seconds from the projection of a placed order to the answer of who waits for it, after so many waits."""
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(place_and_wait, web.client, 10)
        web.wait_for_waits(waits + 1)
        projected = time.monotonic()
        show_everything(sessions)
        applied, _ = waiting.result()
    assert applied == "wait"
    return elapsed(projected)


def listeners(connection: psycopg.Connection) -> list[int]:
    rows = connection.execute(f"SELECT pid {BACKENDS} AND application_name = 'orderlog listener'").fetchall()
    return [pid for (pid,) in rows]


def test_a_listener_that_is_cut_off_comes_back(
    web: WebServer, direct_url: str, sessions: sessionmaker[Session]
) -> None:
    with psycopg.connect(direct_url, autocommit=True) as connection, ThreadPoolExecutor(1) as thread:
        wait_for_a_shown_order(web, sessions, 0)
        wait_until(lambda: listeners(connection))
        [first] = listeners(connection)

        waiting = thread.submit(place_and_wait, web.client, 10)
        web.wait_for_waits(2)
        assert connection.execute("SELECT pg_terminate_backend(%s, 60000)", [first]).fetchone() == (True,)
        projected = time.monotonic()
        show_everything(sessions)  # while nobody listens
        applied, _ = waiting.result()
        assert applied == "wait"
        assert elapsed(projected) < RECHECK_SECONDS + 2

        wait_for_a_shown_order(web, sessions, 2)
        wait_until(lambda: listeners(connection))
        [second] = listeners(connection)
        assert second != first


def test_a_wait_outlives_a_restart_of_postgresql(tmp_path: Path, valkey: ValkeyServer) -> None:
    with PostgresServer(tmp_path) as postgres, ThreadPoolExecutor(2) as threads:
        app = make_app(postgres.superuser_url, valkey.url)
        with app.app_context():
            upgrade()
            sessions = sessionmaker(app.extensions["sqlalchemy"].engine)
        with WebServer(postgres.superuser_url, valkey.url, tmp_path / "web.log", app=TELLS_OF_WAITS) as server:
            placed = read(send(server.client, "place_order", ""))
            command = threads.submit(place_and_wait, server.client, 10)
            path = f"/orders/{placed['order_id']}?min_version=1"
            query = threads.submit(server.client.get, path, {"Prefer": "wait=10"})
            server.wait_for_waits(2)

            crash(postgres)
            wait_until(lambda: server.client.get("/orders").status_code == 503)
            postgres.start()
            show_everything(sessions)

            assert command.result()[0] == "wait"
            assert read(query.result())["version"] == 1
            assert wait_for_a_shown_order(server, sessions, 2) < 5
        sessions.kw["bind"].dispose()
