"""Limits per key and per address: counted together for all processes, and never a reason to be slow or to fail."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from core.api_keys import Scope
from local.servers import ValkeyServer
from tests.conftest import make_app
from tests.support.calls import problem
from tests.support.contract import ContractClient
from tests.support.keys import Keys, bearing
from tests.support.waiting import wait_until
from webapp.gate.rate_limits import LimitReached, Limits

LIMIT = 3
PER_HOUR = f"{LIMIT}/hour"
MakeApp = Callable[..., Flask]


@pytest.fixture
def limited(database_url: str, valkey: ValkeyServer) -> Iterator[MakeApp]:
    """Makes applications with that limit, whose clients check every answer; the counts begin anew."""
    made = []

    def make(redis_url: str = valkey.url, **config: object) -> Flask:
        app = make_app(database_url, valkey.url, REDIS_URL=redis_url, RATE_LIMIT=PER_HOUR, **config)
        app.test_client_class = ContractClient
        made.append(app)
        return app

    with Redis.from_url(valkey.url) as redis:
        for name in redis.scan_iter("LIMITS*"):
            redis.delete(name)
    yield make
    for app in made:
        with app.app_context():
            app.extensions["sqlalchemy"].engine.dispose()


def statuses(client: FlaskClient, number: int, path: str = "/orders", **options: object) -> list[int]:
    return [client.get(path, **options).status_code for _ in range(number)]


def assert_limited(answer: TestResponse) -> None:
    problem(answer, 429, "too-many-requests")
    assert 0 < int(answer.headers["Retry-After"]) <= 3601
    assert answer.headers["RateLimit-Limit"] == str(LIMIT)
    assert answer.headers["RateLimit-Remaining"] == "0"
    assert answer.headers["RateLimit-Reset"] == answer.headers["Retry-After"]


def test_an_address_is_limited_over_all_routes_and_processes(limited: MakeApp) -> None:
    one, other = limited().test_client(), limited().test_client()

    assert statuses(one, 1) + statuses(other, 1, "/orders/statistics") + statuses(one, 1, "/nowhere") == [200, 200, 404]
    for client in (one, other):
        assert_limited(client.get("/orders"))


def test_addresses_are_counted_apart_and_ipv6_by_network(limited: MakeApp, keys: Keys) -> None:
    client = limited(AUTH=True).test_client()

    def from_address(address: str) -> list[int]:
        return statuses(client, LIMIT + 1, environ_overrides={"REMOTE_ADDR": address})

    assert from_address("192.0.2.1") == from_address("192.0.2.2") == [401, 401, 401, 429]
    assert from_address("::ffff:192.0.2.1") == [429] * 4
    assert from_address("::ffff:192.0.2.3") == from_address("::ffff:192.0.2.4") == [401, 401, 401, 429]
    assert from_address("2001:db8::1") == [401, 401, 401, 429]
    assert from_address("2001:db8::2") == [429] * 4
    assert from_address("2001:db8:0:1::1") == [401, 401, 401, 429]


def test_a_key_is_limited_wherever_it_is_used(limited: MakeApp, keys: Keys) -> None:
    client = limited(AUTH=True).test_client()
    mine, other = (bearing(keys.create(Scope.ORDERS_READ).text) for _ in range(2))

    def use(key: dict[str, str], address: int) -> TestResponse:
        return client.get("/orders", headers=key, environ_overrides={"REMOTE_ADDR": f"192.0.2.{address}"})

    assert [use(mine, address).status_code for address in range(LIMIT)] == [200, 200, 200]
    assert_limited(use(mine, 100))
    assert use(other, 100).status_code == 200


def test_nobody_uses_up_the_limit_of_a_key_by_knowing_its_id(limited: MakeApp, keys: Keys) -> None:
    client = limited(AUTH=True).test_client()
    key = keys.create(Scope.ORDERS_READ).text
    guessed = f"{key[:-64]}{'0' * 64}"

    assert statuses(client, LIMIT, headers=bearing(guessed)) == [401, 401, 401]

    assert client.get("/orders", headers=bearing(key), environ_overrides={"REMOTE_ADDR": "::1"}).status_code == 200


def test_few_requests_wait_for_redis(valkey: ValkeyServer) -> None:
    limits = Limits("6000/minute", valkey.url)
    with Redis.from_url(valkey.url) as redis:
        redis.config_resetstat()
        for _ in range(500):
            limits.count("key", "few-requests-wait")
        asked = redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    limits.close()

    assert asked < 250


def test_processes_that_share_a_limit_do_not_pass_it(valkey: ValkeyServer) -> None:
    """It is reached early by what the other has taken and does not use: a twentieth at the most."""
    both = [Limits("200/hour", valkey.url) for _ in range(2)]

    def count_until_it_is_reached(limits: Limits) -> int:
        for number in range(1000):
            try:
                limits.count("key", "shared-by-two")
            except LimitReached:
                return number
        raise AssertionError("the limit was not reached")

    with ThreadPoolExecutor(8) as threads:
        passed = sum(threads.map(count_until_it_is_reached, both * 4))
    for limits in both:
        limits.close()

    assert 190 <= passed <= 200


def test_probes_are_never_limited(limited: MakeApp) -> None:
    client = limited().test_client()

    assert statuses(client, LIMIT * 2, "/livez") + statuses(client, LIMIT * 2, "/readyz") == [200] * LIMIT * 4


def test_no_limit_is_set_where_no_keys_are_asked_for(app: Flask) -> None:
    assert statuses(app.test_client(), 50, "/nowhere") == [404] * 50
    assert app.config["RATE_LIMIT"] is None


@contextmanager
def away() -> Iterator[str]:
    yield "redis://127.0.0.1:1/0"


@contextmanager
def silent() -> Iterator[str]:
    """Accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@pytest.mark.parametrize("outage", [away, silent])
def test_without_redis_each_process_counts_for_itself_and_at_once(
    limited: MakeApp, outage: Callable[[], AbstractContextManager[str]]
) -> None:
    with outage() as redis_url:
        client = limited(redis_url).test_client()
        client.get("/readyz")  # connects to the database; probes are not counted
        asked = time.monotonic()
        first = client.get("/orders").status_code
        assert time.monotonic() - asked < 1
        assert [first, *statuses(client, LIMIT - 1)] == [200] * LIMIT
        assert_limited(client.get("/orders"))


def test_requests_that_find_redis_silent_at_once_are_all_answered(limited: MakeApp) -> None:
    with silent() as redis_url:
        app = limited(redis_url)
        with ThreadPoolExecutor(8) as threads:
            asking = [threads.submit(lambda: app.test_client().get("/orders").status_code) for _ in range(8)]
        assert {each.result() for each in asking} <= {200, 429}


def test_the_count_is_shared_again_when_redis_is_back(database_url: str, limited: MakeApp, tmp_path: Path) -> None:
    with ValkeyServer(tmp_path) as redis:
        app, other = limited(redis.url), limited(redis.url)
        redis.kill()
        assert statuses(app.test_client(), LIMIT + 1) == [200, 200, 200, 429]
        redis.start()
        wait_until(lambda: app.test_client().get("/orders").status_code != 429)
        assert statuses(other.test_client(), LIMIT)[-1] == 429


def test_without_any_redis_each_process_counts_for_itself(limited: MakeApp) -> None:
    for _ in range(2):
        client = limited(redis_url="").test_client()
        for _ in range(LIMIT):
            assert client.get("/orders").status_code == 200
        problem(client.get("/orders"), 429, "too-many-requests")
