"""What only a real web server can show: chunks, lengths that lie, bytes that no client library would send."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import simplejson
from sqlalchemy.orm import Session, sessionmaker

from core.database import session_factory
from local.servers import PostgresServer, ValkeyServer
from tests.support.calls import COMMAND_OPERATIONS, LAPTOP, nothing_stored, stored_events
from tests.support.databases import new_database
from tests.support.web_server import RawAnswer, WebServer
from webapp.asgi import MOST_PARTS

LARGEST_BODY = COMMAND_OPERATIONS["place_order"].largest_body
MEBIBYTE = 1024 * 1024
PLACE = '{"customer_name": "山田太郎", "total_amount": 83000}'.encode()


@pytest.fixture(scope="module")
def database_url(postgres: PostgresServer, migrated_template: str) -> Iterator[str]:
    """One for all of these tests, as one web server serves them."""
    with new_database(postgres, migrated_template) as url:
        yield url


@pytest.fixture(scope="module")
def web(database_url: str, valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with WebServer(database_url, valkey.url, tmp_path_factory.mktemp("web") / "log") as server:
        yield server


@pytest.fixture(scope="module")
def sessions(database_url: str) -> Iterator[sessionmaker[Session]]:
    factory = session_factory(database_url)
    yield factory
    factory.kw["bind"].dispose()


def request(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([line + b" HTTP/1.1", b"Host: localhost", b"Connection: close", *headers, b"", body])


def post(path: str, *headers: bytes, body: bytes = b"") -> bytes:
    return request(b"POST " + path.encode(), b"Content-Type: application/json", *headers, body=body)


def length(number: object) -> bytes:
    return f"Content-Length: {number}".encode()


def chunks(body: bytes, size: int = 7) -> bytes:
    parts = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


CHUNKED = b"Transfer-Encoding: chunked"
LAST_CHUNK = b"0\r\n\r\n"


def assert_problem(answer: RawAnswer, status: int, slug: str) -> None:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.document["type"] == f"/problems/{slug}"


def call(web: WebServer, path: str, body: Any = None) -> Any:
    """As ordinary clients do; the answer's document."""
    connection = web.connect()
    connection.request("POST", path, simplejson.dumps(body) if body else None, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    document = simplejson.loads(answer.read())
    connection.close()
    assert answer.status in (200, 201), document
    return document


@pytest.fixture
def ready_to_confirm(web: WebServer) -> str:
    order_id: str = call(web, "/orders", simplejson.loads(PLACE))["order_id"]
    call(web, f"/orders/{order_id}/add_item", LAPTOP)
    return order_id


def test_a_chunked_body_is_read_like_any_other(web: WebServer, sessions: sessionmaker[Session]) -> None:
    before = stored_events(sessions)

    small = web.raw(post("/orders", CHUNKED, body=chunks(PLACE) + LAST_CHUNK))
    full = web.raw(post("/orders", CHUNKED, body=chunks(PLACE.ljust(LARGEST_BODY), 65_536) + LAST_CHUNK))

    assert (small.status, full.status) == (201, 201)
    assert small.document["version"] == 1
    assert small.headers["location"] == f"/orders/{small.document['order_id']}"
    assert stored_events(sessions) == before + 2


def test_a_body_that_is_too_long_is_refused_however_it_is_sent(
    web: WebServer, sessions: sessionmaker[Session], ready_to_confirm: str, subtests: pytest.Subtests
) -> None:
    with nothing_stored(sessions):
        for path in ("/orders", f"/orders/{ready_to_confirm}/confirm"):
            for size in (LARGEST_BODY + 1, MEBIBYTE, 8 * MEBIBYTE):
                body = PLACE.ljust(size)
                with subtests.test(f"{path}, {size} bytes in chunks"):
                    answer = web.raw(post(path, CHUNKED, body=chunks(body, 65_536) + LAST_CHUNK))
                    assert_problem(answer, 413, "content-too-large")
                with subtests.test(f"{path}, {size} bytes with their length"):
                    assert_problem(web.raw(post(path, length(size), body=body)), 413, "content-too-large")
        for announced in (LARGEST_BODY + 2, 10**12):
            with subtests.test(f"{announced} bytes announced and none sent"):
                assert_problem(web.raw(post("/orders", length(announced))), 413, "content-too-large")
                waiting = post("/orders", length(announced), b"Expect: 100-continue")
                assert_problem(web.raw(waiting), 413, "content-too-large")


def test_a_body_in_very_many_chunks_is_given_up_early(
    web: WebServer, sessions: sessionmaker[Session], ready_to_confirm: str
) -> None:
    """The server hands on each chunk by itself, so that one byte can cost as much as a request."""
    with nothing_stored(sessions):
        for path in ("/orders", f"/orders/{ready_to_confirm}/confirm"):
            waits_for_more = post(path, CHUNKED, body=chunks(PLACE.ljust(MOST_PARTS + 1), 1))
            answer = web.raw(waits_for_more)
            assert_problem(answer, 400, "bad-request")
            assert f"may have {MOST_PARTS} chunks" in answer.document["detail"]
    most = post("/orders", CHUNKED, body=chunks(PLACE.ljust(MOST_PARTS - 1), 1) + LAST_CHUNK)
    assert web.raw(most).status == 201


def test_a_body_that_is_not_what_it_says_is_not_acted_on(
    web: WebServer, sessions: sessionmaker[Session], ready_to_confirm: str, subtests: pytest.Subtests
) -> None:
    confirm = f"/orders/{ready_to_confirm}/confirm"
    cut_short = {
        "longer than its length": (post("/orders", length(len(PLACE) - 5), body=PLACE), "not-json"),
        "shorter than its length": (post("/orders", length(len(PLACE) + 5), body=PLACE), "bad-request"),
        "nothing of its length": (post(confirm, length(5)), "bad-request"),
        "an object shorter than its length": (post(confirm, length(5), body=b"{}"), "bad-request"),
        "a chunk that stops": (post("/orders", CHUNKED, body=b"100\r\n" + PLACE[:20]), "bad-request"),
        "chunks that never begin": (post(confirm, CHUNKED), "bad-request"),
        "chunks without a size": (post(confirm, CHUNKED, body=b"ZZ\r\n{}\r\n0\r\n\r\n"), "bad-request"),
        "a chunk of a negative size": (post(confirm, CHUNKED, body=b"-1\r\n{}\r\n0\r\n\r\n"), "bad-request"),
        "a chunk of 30 digits": (post(confirm, CHUNKED, body=b"f" * 30 + b"\r\n{}\r\n0\r\n\r\n"), "bad-request"),
    }
    with nothing_stored(sessions):
        for what, (sent, slug) in cut_short.items():
            with subtests.test(what):
                assert_problem(web.raw(sent, then_close_sending=True), 400, slug)

    assert web.raw(post(confirm)).status == 200


def test_http_that_makes_no_sense_is_refused(
    web: WebServer, sessions: sessionmaker[Session], subtests: pytest.Subtests
) -> None:
    """The web server itself refuses these, before the application, with a bare answer."""
    nonsense = {
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "a line of nothing": b"\x00\r\n\r\n",
        "no version": b"GET /orders\r\n\r\n",
        "another protocol": b"GET /orders SIP/2.0\r\n\r\n",
        "HTTP/9.9": b"GET /orders HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "a blank in the path": request(b"GET /orders/a b"),
        "a NUL in the path": request(b"GET /orders/\x00"),
        "a byte that is not UTF-8 in the path": request(b"GET /orders/\xff"),
        "a NUL in a header": request(b"GET /orders", b"X: a\x00b"),
        "a header without a colon": request(b"GET /orders", b"nonsense"),
        "a header that goes on": request(b"GET /orders", b"X: a", b" b"),
        "two lengths": post("/orders", length(5), length(len(PLACE)), body=PLACE),
        "a negative length": post("/orders", length(-5), body=PLACE),
        "a length in words": post("/orders", length("five"), body=PLACE),
        "a length with a sign": post("/orders", length(f"+{len(PLACE)}"), body=PLACE),
        "a length of 30 digits": post("/orders", length("9" * 30), body=PLACE),
        "an unknown coding": post("/orders", b"Transfer-Encoding: gzip", body=PLACE),
        "10,000 headers": request(b"GET /orders", *[b"X: y"] * 10_000),
        "a header of a mebibyte": request(b"GET /orders", b"X: " + b"y" * MEBIBYTE),
        "a path of 70,000 characters": request(b"GET /orders/" + b"a" * 70_000),
        "a query of 70,000 characters": request(b"GET /orders?limit=" + b"1" * 70_000),
    }
    with nothing_stored(sessions):
        for what, sent in nonsense.items():
            with subtests.test(what):
                assert web.raw(sent, then_close_sending=True).status in (400, 414, 431)
    assert web.raw(request(b"GET /livez")).status == 200


def test_odd_requests_get_a_clear_answer_all_the_same(
    web: WebServer, sessions: sessionmaker[Session], subtests: pytest.Subtests
) -> None:
    slash, nothing = "/orders/a%2Fb", "/orders/%00"
    odd = {
        "an encoded slash": (request(b"GET " + slash.encode()), 404, "not-found"),
        "an encoded slash in a command": (post(f"{slash}/confirm"), 404, "not-found"),
        "an encoded NUL": (request(b"GET " + nothing.encode()), 404, "not-found"),
        "an encoded NUL in a command": (post(f"{nothing}/confirm"), 404, "not-found"),
        "an encoded line end": (request(b"GET /orders/ORDER-001%0D%0AX:%20y"), 404, "not-found"),
        "quotes": (request(b"GET /orders/'%22"), 404, "not-found"),
        "10,000 characters": (request(b"GET /orders/" + b"a" * 10_000), 404, "not-found"),
        "10,000 characters in a command": (post(f"/orders/{'a' * 10_000}/confirm"), 404, "not-found"),
        "raw UTF-8": (request("GET /orders/山田".encode()), 404, "not-found"),
        "encoded UTF-8": (request(b"GET /orders/%E5%B1%B1"), 404, "not-found"),
        "encoded bytes": (request(b"GET /orders/%FF%FE"), 404, "not-found"),
        "half an encoding": (request(b"GET /orders/%2"), 404, "not-found"),
        "dots": (request(b"GET /orders/../orders"), 404, "not-found"),
        "a star": (request(b"GET *"), 404, "not-found"),
        "an unknown method": (request(b"FROB /orders"), 405, "method-not-allowed"),
        "a query of bytes": (request(b"GET /orders?limit=%FF"), 422, "invalid-request"),
        "a query with NUL": (request(b"GET /orders?customer_name=%00"), 422, "invalid-request"),
        "a body to nowhere": (post("/nowhere", CHUNKED, body=chunks(PLACE) + LAST_CHUNK), 404, "not-found"),
        "a type of bytes": (
            request(b"POST /orders", b"Content-Type: \xff\xfe", length(len(PLACE)), body=PLACE),
            415,
            "unsupported-media-type",
        ),
    }
    with nothing_stored(sessions):
        for what, (sent, status, slug) in odd.items():
            with subtests.test(what):
                assert_problem(web.raw(sent), status, slug)


def test_a_header_of_one_value_that_comes_twice_is_not_taken_for_one(
    web: WebServer, sessions: sessionmaker[Session]
) -> None:
    twice = post("/orders", b"Idempotency-Key: a", b"Idempotency-Key: b", length(len(PLACE)), body=PLACE)
    with nothing_stored(sessions):
        assert_problem(web.raw(twice), 400, "invalid-header")

    given = web.raw(request(b"GET /orders", b"X-Request-Id: a", b"X-Request-Id: b")).headers["x-request-id"]
    assert UUID(given).version == 7


def test_one_connection_serves_good_and_bad_requests_in_turn(web: WebServer, sessions: sessionmaker[Session]) -> None:
    connection = web.connect()
    statuses = []
    for body in (PLACE, b"[", PLACE, b"{}", "山".encode("shift_jis"), PLACE):
        connection.request("POST", "/orders", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()

    assert statuses == [201, 400, 201, 422, 400, 201]
