"""Who has written can read it at once: a command waits to be shown, or a query asks for what must be shown."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.database import session_factory
from local.servers import PostgresServer, ValkeyServer
from tests.support.calls import accepted, place, problem, read, send
from tests.support.databases import new_database
from tests.support.remote import Remote, RemoteAnswer
from tests.support.replica import Replica
from tests.support.web_server import WebServer
from tests.support.worker import Worker
from webapp.api.waiting import RECHECK_SECONDS

WAIT = {"Prefer": "wait=10"}
WRITES = 200


@dataclass(frozen=True)
class Service:
    client: Remote
    sessions: sessionmaker[Session]


@pytest.fixture(scope="module", params=["one server", "replica"])
def service(
    postgres: PostgresServer,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Service]:
    """Both sides: a web server of two processes, and a worker that has projected its first order."""
    folder = tmp_path_factory.mktemp("service")
    with ExitStack() as stack:
        broker = stack.enter_context(ValkeyServer(folder))
        url = stack.enter_context(new_database(postgres, migrated_template))
        replica = {}
        if request.param == "replica":
            server = stack.enter_context(Replica(postgres, "read_your_writes"))
            replica["DATABASE_REPLICA_URL"] = server.of(url)
        stack.enter_context(Worker(url, broker.url, folder / "worker.log"))
        web = stack.enter_context(WebServer(url, broker.url, folder / "web.log", processes=2, **replica))
        sessions = session_factory(url)
        stack.callback(sessions.kw["bind"].dispose)
        first = place(web.client)
        while web.client.get(f"/orders/{first}", WAIT).status_code == 503:
            pass
        yield Service(web.client, sessions)


def listed(client: Remote, order_id: str) -> int:
    """The version that the list shows of one of the newest orders; 0 if it shows none."""
    orders = read(client.get("/orders?limit=200"))["orders"]
    return next((order["version"] for order in orders if order["order_id"] == order_id), 0)


def test_a_command_that_waits_is_shown_by_both_read_models_when_it_answers(service: Service) -> None:
    for _ in range(10):
        answer = send(service.client, "place_order", "", WAIT)
        assert answer.headers["Preference-Applied"] == "wait"
        order_id = read(answer)["order_id"]
        for version, command in enumerate(["add_item", "confirm_order", "ship_order"], start=2):
            answer = send(service.client, command, order_id, WAIT)
            accepted(answer, order_id, version)
            assert answer.headers["Preference-Applied"] == "wait"
            assert read(service.client.get(f"/orders/{order_id}"))["version"] == version
            assert listed(service.client, order_id) == version


def test_a_command_that_does_not_wait_says_so(service: Service) -> None:
    for prefer in ({}, {"Prefer": "wait=0"}, {"Prefer": "respond-async"}):
        assert "Preference-Applied" not in send(service.client, "place_order", "", prefer).headers


WAYS = ["wait=10", 'wait="10"', "WAIT = 10", "respond-async, wait=10", "wait=10;x=y", "wait=99999"]


@pytest.mark.parametrize("prefer", WAYS)
def test_a_wait_may_be_written_in_these_ways(service: Service, prefer: str) -> None:
    assert send(service.client, "place_order", "", {"Prefer": prefer}).headers["Preference-Applied"] == "wait"


def test_a_replay_waits_too(service: Service) -> None:
    key = {"Idempotency-Key": "a-replay-waits-too"}
    first = send(service.client, "place_order", "", key)

    again = send(service.client, "place_order", "", {**key, **WAIT})

    assert (again.headers["Idempotent-Replayed"], again.headers["Preference-Applied"]) == ("true", "wait")
    assert listed(service.client, read(first)["order_id"]) == 1


def test_reading_ones_writes_under_load_never_shows_less(service: Service) -> None:
    """Writers that read what they have just written, with and without a wait, four at a time."""

    def write_and_read(writes: int) -> list[RemoteAnswer]:
        client, answers = service.client, []
        order_id = place(client)
        for version in range(2, writes + 2):
            position = accepted(send(client, "add_item", order_id), order_id, version)
            wait = WAIT if version % 2 else {}
            details = client.get(f"/orders/{order_id}?min_version={version}", wait)
            counted = client.get(f"/orders?min_position={position}&limit=200", wait)
            for answer in (details, counted):
                assert answer.status_code == 200 or (not wait and problem(answer, 503, "read-model-behind"))
            if details.status_code == 200:
                assert read(details)["version"] >= version
            if counted.status_code == 200:
                [shown] = [order for order in read(counted)["orders"] if order["order_id"] == order_id]
                assert shown["version"] >= version
            answers += [details, counted]
        return answers

    with ThreadPoolExecutor(4) as threads:
        answers = [answer for each in threads.map(write_and_read, [WRITES // 4] * 4) for answer in each]

    assert len(answers) == 2 * WRITES
    assert sum(answer.status_code == 200 for answer in answers) >= WRITES  # those that may wait, and some others


def test_waiting_is_woken_by_the_projection_and_not_by_the_recheck(service: Service) -> None:
    def seconds() -> float:
        asked = time.perf_counter()
        assert "Preference-Applied" in send(service.client, "place_order", "", WAIT).headers
        return time.perf_counter() - asked

    assert median(seconds() for _ in range(21)) < RECHECK_SECONDS / 3


def test_statistics_can_be_asked_for_what_must_be_counted(service: Service) -> None:
    for _ in range(10):
        before = read(service.client.get("/orders/statistics"))["total_count"]
        position = read(send(service.client, "place_order", ""))["position"]

        after = read(service.client.get(f"/orders/statistics?min_position={position}", WAIT))["total_count"]

        assert after >= before + 1
