"""One signed POST to a receiver that may be hostile: where it may go, how long it may take, what is read of the answer.

The headers are those of Standard Webhooks 1.0. No redirect is followed, no proxy of the environment is used."""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any, NamedTuple, Self

import httpcore
from pydantic_core import Url
from standardwebhooks.webhooks import Webhook

from core.orders.errors import InvalidValue

CONNECT, TOTAL = 5.0, 15.0  # seconds; the total ends an answer that drips too
MOST_ADDRESSES = 4  # of one name that are tried
LONGEST_URL = 2000  # characters
MOST_READ = 1024  # bytes of an answer
BUSY = (429, 503)
LONGEST_WAIT = 24 * 3600.0  # seconds that a receiver may ask for

GLOBAL_UNICAST = ip_network("2000::/3")  # the rest of IPv6 is local, or IPv4 in disguise

# Global to some releases of Python or to all: protocols' own addresses, tunnels to IPv4, documentation, and what a
# cloud's machines reach its platform by.
NOT_PUBLIC = tuple(
    map(
        ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "2001::/23", "2002::/16", "3fff::/20"),
    )
)

Resolve = Callable[[str, int], list[str]]


class AddressRefused(Exception):
    """A receiver at an address that is none of the public internet, or that cannot be found."""


FAULTS = (AddressRefused, OSError, httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)


class Answer(NamedTuple):
    """`status` is None if none came; `error` then says why. `text` is the beginning of what was answered, `retry_after`
    for how many seconds the receiver wants to be left alone."""

    status: int | None
    error: str | None
    text: str = ""
    retry_after: float = 0.0

    @property
    def is_good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def is_public(address: str) -> bool:
    """Whether this IP address is one that anybody on the internet could reach."""
    ip = ip_address(address)
    if not ip.is_global or ip.is_multicast or any(ip in network for network in NOT_PUBLIC):
        return False
    return isinstance(ip, IPv4Address) or ip in GLOBAL_UNICAST


def require_usable(host: str, addresses: Iterable[str], *, development: bool) -> None:
    """Raises AddressRefused unless each address is public, or in development of this machine."""
    for address in addresses:
        if not (is_public(address) or (development and ip_address(address).is_loopback)):
            raise AddressRefused(f"{host} is at {address}, which is not an address of the public internet.")


def receiver_url(value: object, *, development: bool) -> str:
    """An https URL without credentials, as it is kept; in development also http. Names are not resolved yet.

    Raises InvalidValue."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_URL or not value.isprintable() or " " in value:
        raise InvalidValue("url", f"must be a URL of at most {LONGEST_URL} characters, without spaces")
    try:
        url = Url(value)
    except ValueError as error:
        raise InvalidValue("url", "must be a URL such as https://shop.example/hooks") from error
    if url.scheme != "https" and not (development and url.scheme == "http"):
        raise InvalidValue("url", "must begin with https://")
    if url.username or url.password or url.fragment is not None:
        raise InvalidValue("url", "must not contain a user, a password or a fragment")
    host = (url.host or "").strip("[]").rstrip(".")
    try:
        require_usable(host, [str(ip_address(host))], development=development)
    except ValueError as error:  # a name
        if "." not in host and not development:
            raise InvalidValue("url", "must have a host of the public internet") from error
    except AddressRefused as error:
        raise InvalidValue("url", "must not lead to an address that is not of the public internet") from error
    return str(url)


def resolve(host: str, port: int) -> list[str]:
    """The addresses that the system finds for this name, best first. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@cache
def _resolvers() -> ThreadPoolExecutor:
    """The system's resolver cannot be told how long it may take, so others wait for it."""
    return ThreadPoolExecutor(max_workers=32, thread_name_prefix="resolve")


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


class Sender(httpcore.NetworkBackend):
    """Sends to one receiver after the other; a connection is kept for the next request to the same. For one thread.

    It is its own way to the network: a name is resolved once per connection, which goes to an address that was checked.
    """

    def __init__(
        self,
        *,
        development: bool,
        resolve: Resolve = resolve,
        trust: ssl.SSLContext | None = None,
        total: float = TOTAL,
    ) -> None:
        self._development = development
        self._resolve = resolve
        self._total = total
        self._until = 0.0
        self._pool = httpcore.ConnectionPool(ssl_context=trust or _trust(), max_connections=1, network_backend=self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def post(self, url: str, headers: Mapping[str, str], body: str) -> Answer:
        """Never raises for what the receiver does, or does not."""
        to = Url(url)
        if to.scheme != "https" and not self._development:  # it was made before keys were asked for
            return Answer(None, f"AddressRefused: {to.scheme} is not encrypted.")
        target = f"{to.path or '/'}{'?' + to.query if to.query else ''}"
        place = httpcore.URL(scheme=to.scheme, host=(to.host or "").strip("[]"), port=to.port, target=target)
        default = {"http": 80, "https": 443}[to.scheme]
        host = str(to.host) if to.port == default else f"{to.host}:{to.port}"
        sent = [(name.encode(), value.encode()) for name, value in {"Host": host, **headers}.items()]
        self._until = time.monotonic() + self._total
        try:
            with self._pool.stream("POST", place, headers=sent, content=body.encode()) as answer:
                read = b""
                for part in answer.iter_stream():
                    read += part
                    if len(read) >= MOST_READ:
                        break
                asked = retry_after(answer.headers, datetime.now(UTC)) if answer.status in BUSY else 0.0
                return Answer(answer.status, None, _text(read[:MOST_READ]), asked)
        except FAULTS as error:
            return Answer(None, _text(f"{type(error).__name__}: {error}".encode()[:MOST_READ]))

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Raises AddressRefused, OSError, httpcore.ConnectError, httpcore.ConnectTimeout."""
        try:
            addresses = _resolvers().submit(self._resolve, host, port).result(self.left(CONNECT))
        except TimeoutError as error:
            raise AddressRefused(f"{host} was not found within {CONNECT:g} s.") from error
        require_usable(host, addresses, development=self._development)
        until, tried = time.monotonic() + CONNECT, addresses[:MOST_ADDRESSES]
        failure: Exception = AddressRefused(f"{host} has no address.")
        for remaining, address in zip(range(len(tried), 0, -1), tried, strict=True):
            seconds = self.left(max(0.001, (until - time.monotonic()) / remaining))
            try:
                return TimedStream(httpcore.SyncBackend().connect_tcp(address, port, seconds, socket_options=()), self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def left(self, most: float = TOTAL) -> float:
        """The seconds that the request may still take. Raises httpcore.ReadTimeout if that is none."""
        seconds = min(most, self._until - time.monotonic())
        if seconds <= 0:
            raise httpcore.ReadTimeout(f"not done after {self._total:g} s")
        return seconds


class TimedStream(httpcore.NetworkStream):
    """A connection on which nothing takes longer than its sender has left."""

    def __init__(self, stream: httpcore.NetworkStream, sender: Sender) -> None:
        self._stream = stream
        self._sender = sender

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._sender.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._sender.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return TimedStream(
            self._stream.start_tls(ssl_context, server_hostname, self._sender.left(CONNECT)), self._sender
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def signed(message_id: str, body: str, secrets: Iterable[str], now: datetime | None = None) -> dict[str, str]:
    """The headers by which a receiver knows the message and its sender: one signature per secret."""
    now = now or datetime.now(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, now, body) for secret in secrets),
    }


def retry_after(headers: Iterable[tuple[bytes, bytes]], now: datetime) -> float:
    """The seconds that Retry-After (RFC 9110, section 10.2.3) asks for, a day at most; 0 if it asks for none."""
    said = next((value for name, value in headers if name.lower() == b"retry-after"), b"").decode("latin-1").strip()
    if said.isdecimal():
        return min(float(said), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    return min(max(0.0, (moment.replace(tzinfo=UTC) - now).total_seconds()), LONGEST_WAIT)


def _text(read: bytes) -> str:
    """As PostgreSQL can store it."""
    return read.decode(errors="replace").replace("\x00", "\ufffd")
