"""A receiver may be hostile: where requests go, how long they take, and what is read, is for the service to say."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest
import trustme

from core.webhooks.sending import MOST_READ, Answer, Sender
from tests.support.ports import own_port
from tests.support.receiver import Behave, Receiver, answer

NAME = "shop.example"
AUTHORITY = trustme.CA()


def trust() -> ssl.SSLContext:
    """Of the tests' own authority."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def receiving_as(*names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*names).configure_cert(context)
    return context


class Resolver:
    """Answers what it is told, the last answer for ever; `asked` is each name it was asked for."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def sender(*addresses: list[str], development: bool = True, total: float = 15.0) -> Sender:
    return Sender(development=development, resolve=Resolver(*addresses), trust=trust(), total=total)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(tls=receiving_as(NAME)) as receiver:
        yield receiver


def url(receiver: Receiver, host: str = NAME, path: str = "/hook") -> str:
    return f"https://{host}:{receiver.port}{path}"


def test_the_name_is_in_the_certificate_and_the_request_and_the_address_is_the_resolvers(receiver: Receiver) -> None:
    with sender(["127.0.0.1"]) as sending:
        assert sending.post(url(receiver, path="/hook?a=%20b"), {"webhook-id": "1"}, "山田太郎").status == 204

    [got] = receiver.got
    assert got.path == "/hook?a=%20b"
    assert got.headers["Host"] == f"{NAME}:{receiver.port}"
    assert got.headers["webhook-id"] == "1"
    assert got.body == "山田太郎"


def test_an_address_in_the_url_has_a_certificate_of_its_own() -> None:
    for host, shown in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
        with Receiver(host=host, tls=receiving_as(host)) as receiver, sender([host]) as sending:
            assert sending.post(url(receiver, shown), {}, "").status == 204
            assert receiver.got[0].headers["Host"] == f"{shown}:{receiver.port}"


@pytest.mark.parametrize("names", [["other.example"], ["127.0.0.1"]])
def test_a_certificate_of_another_name_is_refused(names: list[str]) -> None:
    with Receiver(tls=receiving_as(*names)) as receiver, sender(["127.0.0.1"]) as sending:
        refused = sending.post(url(receiver), {}, "")
    assert refused.status is None
    assert "CERTIFICATE_VERIFY_FAILED" in (refused.error or "")
    assert receiver.got == []


def test_a_certificate_that_the_system_does_not_trust_is_refused(receiver: Receiver) -> None:
    with Sender(development=True, resolve=Resolver(["127.0.0.1"])) as sending:
        assert "CERTIFICATE_VERIFY_FAILED" in (sending.post(url(receiver), {}, "").error or "")
    assert receiver.got == []


def refused_for_its_address(told: Answer) -> bool:
    return told.status is None and "AddressRefused" in (told.error or "")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"])
def test_a_name_that_leads_to_an_address_inside_is_refused(receiver: Receiver, address: str) -> None:
    with sender([address], development=False) as sending:
        assert refused_for_its_address(sending.post(url(receiver), {}, ""))
    with sender(["8.8.8.8", address], development=False) as sending:
        assert refused_for_its_address(sending.post(url(receiver), {}, ""))
    assert receiver.connections == 0


def test_a_name_that_leads_elsewhere_at_the_second_time_was_resolved_once(receiver: Receiver) -> None:
    resolver = Resolver(["127.0.0.1"], ["10.0.0.1"])
    with Sender(development=True, resolve=resolver, trust=trust()) as sending:
        assert sending.post(url(receiver), {}, "").status == 204
        assert resolver.asked == [NAME]
        receiver.behave = answer(204, Connection="close")
        assert sending.post(url(receiver), {}, "").status == 204  # on the connection that was checked
        assert refused_for_its_address(sending.post(url(receiver), {}, ""))
    assert resolver.asked == [NAME, NAME]
    assert receiver.connections == 1


def test_nothing_is_sent_in_clear_but_in_development() -> None:
    with Receiver() as receiver:
        at = f"http://{NAME}:{receiver.port}/hook"
        with sender(["127.0.0.1"]) as sending:
            assert sending.post(at, {}, "").status == 204
        with sender(["8.8.8.8"], development=False, total=LIMIT) as sending:
            assert sending.post(at, {}, "") == Answer(None, "AddressRefused: http is not encrypted.")
        assert receiver.connections == 1


def test_each_address_of_a_name_is_tried(receiver: Receiver) -> None:
    with sender(["::1", "127.0.0.2", "127.0.0.1"]) as sending:  # nobody listens at the first two
        assert sending.post(url(receiver), {}, "").status == 204


def test_an_address_that_is_silent_leaves_time_for_the_next(receiver: Receiver) -> None:
    with socket.socket() as silent, socket.socket() as first:
        silent.bind(("127.0.0.2", receiver.port))
        silent.listen(0)
        first.connect(silent.getsockname())  # a backlog of none is full with one, so others get no answer
        with sender(["127.0.0.2", "127.0.0.1"]) as sending:
            assert sending.post(url(receiver), {}, "").status == 204


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    with Receiver() as other, sender(["127.0.0.1"]) as sending:
        receiver.behave = answer(307, Location=other.url)
        told = sending.post(url(receiver), {}, "")
        assert (told.status, told.is_good) == (307, False)
        assert other.connections == 0


def test_no_proxy_of_the_environment_is_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy, sender(["127.0.0.1"]) as sending:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert sending.post(url(receiver), {}, "").status == 204
        assert proxy.connections == 0


# How long.

LIMIT = 0.5


def hang(release: threading.Event) -> Behave:
    return lambda _: (release.wait(30), None)[1]


def drip_body(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    drip(handler)


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte at a time, each soon after the one before."""
    for _ in range(1000):
        handler.wfile.write(b"a")
        handler.wfile.flush()
        time.sleep(0.05)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    drip(handler)


def informs_for_ever(handler: BaseHTTPRequestHandler) -> None:
    while True:
        handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        time.sleep(0.02)


@pytest.mark.parametrize("behave", [drip_body, drip_headers, informs_for_ever])
def test_an_answer_that_drips_is_ended(receiver: Receiver, behave: Behave) -> None:
    receiver.behave = behave
    ended_in_time(url(receiver))


def test_a_receiver_that_says_nothing_is_given_up(receiver: Receiver) -> None:
    release = threading.Event()
    receiver.behave = hang(release)
    ended_in_time(url(receiver))
    release.set()


def test_a_receiver_that_never_finishes_its_handshake_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", own_port())) as silent:
        ended_in_time(f"https://{NAME}:{silent.getsockname()[1]}/")


def test_a_resolver_that_hangs_is_given_up(receiver: Receiver) -> None:
    release = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        release.wait(30)
        return ["127.0.0.1"]

    with Sender(development=True, resolve=resolve, trust=trust(), total=LIMIT) as sending:
        told = sending.post(url(receiver), {}, "")
        release.set()
    assert refused_for_its_address(told)


def ended_in_time(at: str) -> None:
    with sender(["127.0.0.1"], total=LIMIT) as sending:
        began = time.monotonic()
        told = sending.post(at, {}, "")
        assert LIMIT * 0.9 <= time.monotonic() - began < LIMIT + 5
    assert told.status is None
    assert "Timeout" in (told.error or "")


# What is read.


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"a" * 65536)


def test_a_kilobyte_of_an_answer_is_read(receiver: Receiver) -> None:
    receiver.behave = endless
    with sender(["127.0.0.1"]) as sending:
        assert sending.post(url(receiver), {}, "") == Answer(200, None, "a" * MOST_READ)


def endless_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-Long: " + b"a" * 1000 + b"\r\n")


def garbage(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\x00\xff" * 1000 + b"\r\n\r\n")
    handler.close_connection = True


def half(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    handler.close_connection = True


def nothing(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


@pytest.mark.parametrize("behave", [endless_headers, garbage, half, nothing])
def test_what_is_no_answer_is_a_failure(receiver: Receiver, behave: Behave) -> None:
    receiver.behave = behave
    with sender(["127.0.0.1"]) as sending:
        told = sending.post(url(receiver), {}, "")
        assert told.status is None
        assert "RemoteProtocolError" in (told.error or "")
        assert "\x00" not in (told.error or "")
        receiver.behave = answer(204)
        assert sending.post(url(receiver), {}, "").status == 204


def test_a_receiver_that_is_away_is_a_failure(receiver: Receiver) -> None:
    with Receiver() as gone:
        pass
    with sender(["127.0.0.1"]) as sending:
        assert "ConnectError" in (sending.post(gone.url, {}, "").error or "")


def test_an_answer_to_an_earlier_request_is_no_answer(receiver: Receiver) -> None:
    """A receiver that answers twice cannot answer for the next event."""

    def twice(handler: BaseHTTPRequestHandler) -> None:
        answer(200)(handler)
        answer(200)(handler)

    receiver.behave = twice
    with sender(["127.0.0.1"]) as sending:
        assert sending.post(url(receiver), {}, "").status == 200
        receiver.behave = answer(500)
        assert sending.post(url(receiver), {}, "").status in (500, None)
