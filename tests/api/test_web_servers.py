"""The web server: keep-alive, a stop in the middle of requests, and clients that went away half-way."""

import http.client
import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.servers import ValkeyServer
from tests.support.web_server import TELLS_OF_WAITS, WebServer

BODY = json.dumps({"customer_name": "山田太郎", "total_amount": 83000})
JSON = {"Content-Type": "application/json"}
WAITING = 4  # requests at the time of the stop, of the eight that one process lets wait
THREADS = 16
HALF_A_HEAD = b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Ty"
HALF_A_BODY = (
    b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{"
)
SOON = 3.0


@pytest.fixture
def web(database_url: str, valkey: ValkeyServer, tmp_path: Path) -> Iterator[WebServer]:
    with WebServer(database_url, valkey.url, tmp_path / "web.log", app=TELLS_OF_WAITS) as server:
        yield server


def test_one_connection_carries_many_requests(web: WebServer) -> None:
    connection = web.connect()
    used = set()
    for _ in range(3):
        connection.request("POST", "/orders", BODY.encode(), JSON)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 201
        used.add(id(connection.sock))
    connection.close()

    assert used != {id(None)}
    assert len(used) == 1


def test_a_stop_lets_requests_end_and_takes_no_more(web: WebServer) -> None:
    """Nothing projects here, so that each request waits out its two seconds."""
    with ThreadPoolExecutor(WAITING) as pool:
        asked = [pool.submit(place_and_wait, web) for _ in range(WAITING)]
        web.wait_for_waits(WAITING)
        web.ask_to_stop()
        assert not any(each.done() for each in asked)
        statuses = [each.result() for each in asked]

    assert statuses == [201] * WAITING
    assert web.wait_for_end(10) in (0, -signal.SIGTERM)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", web.port), timeout=1)


def test_clients_that_went_away_half_way_hold_no_thread(web: WebServer) -> None:
    for half in (HALF_A_HEAD, HALF_A_BODY):
        for _ in range(2 * THREADS):
            with socket.create_connection(("127.0.0.1", web.port)) as gone:
                gone.sendall(half)
        assert_answers_soon(web)


def test_clients_that_stop_within_a_head_hold_no_thread(web: WebServer) -> None:
    silent = [socket.create_connection(("127.0.0.1", web.port)) for _ in range(2 * THREADS)]
    for each in silent:
        each.sendall(HALF_A_HEAD)
    assert_answers_soon(web)
    for each in silent:
        each.close()


def place_and_wait(web: WebServer) -> int:
    connection = web.connect()
    connection.request("POST", "/orders", BODY.encode(), {**JSON, "Prefer": "wait=2"})
    answer = connection.getresponse()
    document = json.loads(answer.read())
    connection.close()
    assert document["version"] == 1
    return answer.status


def assert_answers_soon(web: WebServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=SOON)
    connection.request("GET", "/livez")
    assert connection.getresponse().status == 200
    connection.close()
