"""A broker that is away, or silent, neither fails a command nor makes it wait; hints flow again when it is back."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import pytest
from sqlalchemy.orm import Session, sessionmaker

from tests.support.brokers import Broker, new_broker
from tests.support.calls import place, read, stored_events
from tests.support.remote import Remote
from tests.support.waiting import wait_until
from tests.support.web_server import WebServer
from webapp.health.readiness import KEPT_SECONDS

PROMISED = 0.050  # seconds that an absent broker may add to a command
FULL_SPEED = 0.025  # what noise may add; a command waits for no broker
SAMPLE = 20

Outage = Callable[[Broker], AbstractContextManager[None]]


@contextmanager
def killed(broker: Broker) -> Iterator[None]:
    broker.kill()
    yield
    broker.start()


@contextmanager
def frozen(broker: Broker) -> Iterator[None]:
    """Connections that are open stay open, new ones are accepted, nothing is answered."""
    broker.pause()
    try:
        yield
    finally:
        broker.resume()


@contextmanager
def black_hole(broker: Broker) -> Iterator[None]:
    """Another listener on the broker's port, which reads nothing and answers nothing."""
    broker.kill()
    with socket.create_server(("127.0.0.1", broker.port), backlog=1000):
        yield
    broker.start()


@contextmanager
def refusing(broker: Broker) -> Iterator[None]:
    """It answers, and takes no hints."""
    broker.refuse()
    try:
        yield
    finally:
        broker.accept()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with new_broker(tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture
def client(database_url: str, broker: Broker, tmp_path: Path) -> Iterator[Remote]:
    """Of the application in a process of its own, which has sent its first hints."""
    with WebServer(database_url, "", tmp_path / "web.log", BROKER_URL=broker.url) as web:
        for _ in range(5):
            place(web.client)
        yield web.client


def seconds_to_place(client: Remote) -> float:
    asked = time.perf_counter()
    place(client)
    return time.perf_counter() - asked


def sample(client: Remote) -> float:
    return median(seconds_to_place(client) for _ in range(SAMPLE))


def wait_for_a_new_hint(client: Remote, broker: Broker) -> None:
    """Hints flow again once the sender has noticed, which takes a second at the most and a command to try with."""
    placed: list[str] = []

    def one_is_told() -> bool:
        placed.append(place(client))
        return any(order_id in placed for order_id, _ in broker.take_hints())

    wait_until(one_is_told, 5)


@pytest.mark.parametrize("outage", [killed, frozen, black_hole, refusing])
def test_commands_go_on_at_full_speed_and_hints_flow_again_afterwards(
    client: Remote, broker: Broker, sessions: sessionmaker[Session], outage: Outage
) -> None:
    before = sample(client)
    stored = stored_events(sessions)

    with outage(broker):
        first = seconds_to_place(client)
        during = sample(client)
        assert stored_events(sessions) == stored + 1 + SAMPLE

    assert during - before < FULL_SPEED
    assert first - before < 1  # one answer alone may be slow for any reason; the next test is strict
    wait_for_a_new_hint(client, broker)
    assert sample(client) - before < FULL_SPEED


@pytest.mark.parametrize("outage", [killed, frozen, black_hole, refusing])
def test_the_sender_gives_up_each_hint_and_waits_for_none(
    client: Remote, broker: Broker, tmp_path: Path, outage: Outage
) -> None:
    log = tmp_path / "web.log"

    def given_up(order_id: str) -> bool:
        return f"Order {order_id} version 1 not enqueued" in log.read_text()

    with outage(broker):
        place(client)  # RabbitMQ takes one more before it takes no more
        for _ in range(3):
            wait_until(partial(given_up, place(client)), 5)


def test_even_the_command_that_finds_the_broker_silent_waits_50_ms_at_the_most(client: Remote, broker: Broker) -> None:
    before = sample(client)
    finding_out = []
    for _ in range(9):
        with frozen(broker):
            finding_out.append(seconds_to_place(client))
        wait_for_a_new_hint(client, broker)

    assert median(finding_out) - before < PROMISED


def test_a_broker_that_was_never_there_costs_no_more(
    client: Remote, broker: Broker, database_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "alone.log"
    nowhere = broker.url.replace(f":{broker.port}/", ":1/")
    with WebServer(database_url, "", log, BROKER_URL=nowhere) as web:
        place(web.client)
        assert sample(web.client) - sample(client) < PROMISED

    assert log.read_text().count("catch-up will project it") == 1 + SAMPLE
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("outage", "said"), [(frozen, "does not answer"), (refusing, "refuses to write|takes no messages")]
)
def test_readiness_says_soon_what_is_wrong_with_the_broker(
    client: Remote, broker: Broker, outage: Outage, said: str
) -> None:
    def checks() -> dict[str, str]:
        found: dict[str, str] = read(client.get("/readyz"))["checks"]
        return found

    name = {"valkey": "redis"}.get(broker.name, broker.name)
    wait_until(lambda: checks()[name] == "ok")
    with outage(broker):
        assert wait_until(lambda: re.search(said, checks()[name])) < KEPT_SECONDS + 2
        assert checks()[name].endswith("; new events are shown by catch-up once it does")
    wait_until(lambda: checks()[name] == "ok")
