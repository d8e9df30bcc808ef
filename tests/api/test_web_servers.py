"""The web server: keep-alive, a stop in the middle of requests, and clients that went away half-way."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from local.servers import ValkeyServer
from tests.support.calls import problem
from tests.support.make_run import ROOT
from tests.support.waiting import LONG, wait_until
from tests.support.web_server import TELLS_OF_WAITS, RawAnswer, WebServer

BODY = json.dumps({"customer_name": "山田太郎", "total_amount": 83000})
JSON = {"Content-Type": "application/json"}
WAITING = 4  # requests at the time of the stop, of the eight that one process lets wait
THREADS = 16
HALF_A_HEAD = b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Ty"
HALF_A_BODY = (
    b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{"
)
SOON = 3.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # RFC 9113, with empty SETTINGS
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
SILENT = {
    "nothing": b"",
    "the beginning of HTTP/2": b"PRI",
    "HTTP/2": PREFACE,
    "half a head": HALF_A_HEAD,
    "a request and no more": LIVEZ + b"\r\n",
}


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


@pytest.mark.parametrize(("host", "why"), [("127.0.0.1", "in use"), ("192.0.2.1", "assign")])
def test_where_nothing_can_listen_it_ends_with_a_sentence(host: str, why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = {"DATABASE_URL": "postgresql://localhost/o", "REDIS_URL": "redis://localhost/0", "HOST": host}
        settings |= {"PORT": str(other.getsockname()[1]), "ORDERLOG_AUTH": "on"}
        command = [sys.executable, "-m", "webapp.serve", "webapp:create_app"]
        ended = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=False, timeout=60
        )

    assert ended.returncode == 1
    assert re.fullmatch(f"orderlog: nothing can listen on {host}, port .*{why}.*Set PORT, or HOST\\.\n", ended.stderr)


def test_silent_connections_are_closed_while_others_are_served(
    database_url: str, valkey: ValkeyServer, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    with WebServer(database_url, valkey.url, tmp_path / "log", IDLE_TIMEOUT="1") as web, ExitStack() as stack:
        silent = {what: [stack.enter_context(opened(web, sent)) for _ in range(16)] for what, sent in SILENT.items()}
        assert_answers_soon(web)
        for what, connections in silent.items():
            with subtests.test(what):
                for connection in connections:
                    assert not read_to_the_end(connection).startswith(b"HTTP/1.1 5")


def test_connections_whose_answers_nobody_reads_are_closed(
    database_url: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """The first request of a process is one of them."""
    with WebServer(database_url, valkey.url, tmp_path / "log", IDLE_TIMEOUT="1") as web, ExitStack() as stack:
        for _ in range(16):
            unread = stack.enter_context(socket.socket())
            unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            unread.connect(("127.0.0.1", web.port))
            unread.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        wait_until(lambda: established(web.port) == 0)


def established(port: int) -> int:
    """The server's connections, as /proc/net/tcp tells them: 01 is ESTABLISHED."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
    return sum((address, state) == (f"0100007F:{port:04X}", "01") for _, address, _, state, *_ in lines)


def test_bodies_that_never_come_hold_no_thread_and_are_given_up(
    database_url: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """They are more than the threads, and one sends a byte now and then."""
    with WebServer(database_url, valkey.url, tmp_path / "log", BODY_TIMEOUT="2") as web, ExitStack() as stack:
        silent = [stack.enter_context(opened(web, HALF_A_BODY)) for _ in range(2 * THREADS)]
        dripping = stack.enter_context(opened(web, HALF_A_BODY))
        dripping.sendall(b" ")
        assert_answers_soon(web)
        dripping.sendall(b" ")
        for connection in (*silent, dripping):
            answer = RawAnswer(read_to_the_end(connection))
            assert (answer.status, answer.document["type"]) == (408, "/problems/request-timeout")


def test_heads_over_16_kilobytes_are_refused(web: WebServer) -> None:
    close = b"Connection: close\r\n"
    for headers, status in ((b"X: " + b"x" * 15_000, 200), (b"X: " + b"x" * 17_000, 431), (b"X: x\r\n" * 4_000, 431)):
        assert web.raw(LIVEZ + close + headers + b"\r\n\r\n").status == status


def test_a_header_with_an_underscore_does_not_pass_for_one_with_a_dash(
    database_url: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """Proxies overwrite X-Forwarded-For, and most let X_Forwarded_For through."""
    log = tmp_path / "log"
    with WebServer(database_url, valkey.url, log, ORDERLOG_AUTH="on", TRUSTED_PROXIES="1", RATE_LIMIT="3/hour") as web:
        statuses = []
        for number in range(5):
            forged, right = f"X_Forwarded_For: 198.51.100.{number}", "X-Forwarded-For: 203.0.113.9"
            for lines in ((forged, right), (right, forged)):
                head = "\r\n".join(("GET /orders HTTP/1.1", "Host: localhost", "Connection: close", *lines))
                statuses.append(web.raw(f"{head}\r\n\r\n".encode()).status)

    assert statuses == [401] * 3 + [429] * 7


def test_a_client_is_known_however_its_proxy_writes_the_address(
    database_url: str, valkey: ValkeyServer, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    same_client = (
        ("192.0.2.1", "192.0.2.1:1234", "192.0.2.2, 192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8::1", "[2001:db8::1]", "[2001:db8::2]:80", "[2001:db8::3]:443"),
        ("192.0.2.3", '"192.0.2.4, 192.0.2.3', "192.0.2.4\r\nX-Forwarded-For: 192.0.2.3", "," * 9_000 + "192.0.2.3"),
        ("", " ", "192.0.2.5, ", "192.0.2.6,"),  # the proxy itself
    )
    log = tmp_path / "log"
    with WebServer(database_url, valkey.url, log, ORDERLOG_AUTH="on", TRUSTED_PROXIES="1", RATE_LIMIT="3/hour") as web:

        def statuses(*told: str) -> list[int]:
            head = "GET /orders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Forwarded-For: "
            return [web.raw(f"{head}{each}\r\n\r\n".encode()).status for each in told]

        for told in same_client:
            with subtests.test(told[0]):
                assert statuses(*told) == [401, 401, 401, 429]
        assert statuses("unknown", "_hidden", "192.0.2.7:a:b", "192.0.2.300", "[::1") == [400, 400, 400, 400, 401]
        refused = problem(web.client.get("/orders", {"X-Forwarded-For": "unknown"}), 400, "invalid-header")
        assert refused["detail"].startswith("X-Forwarded-For must hold addresses")


def place_and_wait(web: WebServer) -> int:
    connection = web.connect()
    connection.request("POST", "/orders", BODY.encode(), {**JSON, "Prefer": "wait=2"})
    answer = connection.getresponse()
    document = json.loads(answer.read())
    connection.close()
    assert document["version"] == 1
    return answer.status


def opened(web: WebServer, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", web.port), timeout=LONG)
    connection.sendall(sent)
    return connection


def read_to_the_end(connection: socket.socket) -> bytes:
    """Until the server closes the connection."""
    received = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    return received


def assert_answers_soon(web: WebServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=SOON)
    connection.request("GET", "/livez")
    assert connection.getresponse().status == 200
    connection.close()
