"""URLs of servers: what one says is honoured, or it is refused. No message quotes a URL, whose parts may be secret."""

import re
from collections.abc import Collection, Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import PGconn

POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2")
REDIS, RABBITMQ = ("redis", "rediss"), ("amqp", "amqps")

EXAMPLES = {
    POSTGRESQL: "postgresql://user:password@host:5432/database",
    REDIS: "redis://:password@host:6379/0",
    (*REDIS, *RABBITMQ): "redis://:password@host:6379/0 or amqp://user:password@host:5672/vhost",
}

# What kombu and the client for rate limits both take from a URL.
TLS_OF_REDIS = {"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}

# What libpq reads only when it has found the server.
NUMBERS = "connect_timeout keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout"
NO_SOCKET = "/dev/null/orderlog"

SET_BY_THE_SERVICE = re.compile(
    r"timezone|statement_timeout|lock_timeout|synchronous_commit|default_transaction_isolation", re.IGNORECASE
)


class UnusableUrl(Exception):
    """Says of a setting what it must be; the message follows the setting's name."""


def scheme_of(url: str) -> str:
    scheme, sign, _ = url.partition("://")
    return scheme if sign else ""


def parameters(url: str, schemes: Collection[str] = (*POSTGRESQL, *REDIS, *RABBITMQ)) -> dict[str, str]:
    """What the URL says, by libpq's names: `host`, `user`, `password` and so on; several hosts stand between commas.
    Raises UnusableUrl."""
    server, _, path = url.partition("://")[2].partition("?")[0].partition("/")
    try:  # a password with an @ or a / of its own would be taken for a host, a port or a name
        if scheme_of(url) not in schemes or re.search(r"\s", url) or server.count("@") > 1 or "@" in path:
            raise ValueError
        said = _of_postgresql(url) if scheme_of(url) in POSTGRESQL else _of_broker(urlsplit(url))
    except (ProgrammingError, ValueError) as error:
        example = EXAMPLES.get(tuple(schemes), "scheme://user:password@host:port/name")
        raise UnusableUrl(f"must be like {example}, with other characters percent-encoded.") from error
    return said


def _of_postgresql(url: str) -> dict[str, str]:
    """As libpq reads it."""
    beginning, _, query = url.partition("://")[2].partition("?")
    said = {name: str(value) for name, value in conninfo_to_dict(f"postgresql://{beginning}?{query}").items()}
    names = [name for name, _ in parse_qsl(query)] + list(conninfo_to_dict(f"postgresql://{beginning}"))
    for name in said:
        if names.count(name) > 1:
            raise UnusableUrl(f"says {name} twice; several servers are host1:port1,host2:port2.")
    hosts, ports = said.get("hostaddr", said.get("host", "")).split(","), said.get("port", "").split(",")
    if len(ports) not in (1, len(hosts)) or not all(port == "" or _is_port(port) for port in ports):
        raise ValueError
    for name in said.keys() & set(NUMBERS.split()):
        if not re.fullmatch(r"-?\d{1,9}", said[name], re.ASCII):
            raise UnusableUrl(f"needs a whole number for {name}.")
    if reason := _refused_by_libpq(said):
        raise UnusableUrl(f"is refused by libpq: {reason}.")
    if clash := SET_BY_THE_SERVICE.search(said.get("options", "")):
        raise UnusableUrl(f"sets {clash[0]}, which the service sets itself.")
    if said.get("client_encoding", "UTF8").upper().replace("-", "") != "UTF8":
        raise UnusableUrl("asks for another client_encoding than UTF8.")
    return said


def _refused_by_libpq(said: Mapping[str, str]) -> str:
    """What it has against these options, before it calls a server: here one on a socket that does not exist."""
    options = {name: value for name, value in said.items() if name not in ("hostaddr", "port")}
    conninfo = make_conninfo("", **{**options, "host": NO_SOCKET})
    told = PGconn.connect_start(conninfo.encode()).get_error_message()
    return "" if NO_SOCKET in told else told


def _of_broker(parts: SplitResult) -> dict[str, str]:
    """Redis takes no other database than one with a number."""
    if not parts.hostname or parts.fragment or re.search(r"[,;\s]", parts.netloc) or parts.port == 0:
        raise ValueError
    if parts.scheme in REDIS and not re.fullmatch(r"/?\d{0,4}", parts.path):
        raise ValueError
    said = {"host": unquote(parts.hostname), **dict(parse_qsl(parts.query, keep_blank_values=True))}
    if parts.username:
        said["user"] = unquote(parts.username)
    if parts.password is not None:
        said["password"] = unquote(parts.password)
    return said


def _is_port(text: str) -> bool:
    return bool(re.fullmatch(r"\d{1,5}", text, re.ASCII)) and 0 < int(text) < 65536


def refuse_unheeded(url: str) -> None:
    """Raises UnusableUrl for what a Redis or RabbitMQ URL says and nobody would heed; libpq heeds or refuses it all."""
    scheme = scheme_of(url)
    if scheme in POSTGRESQL:
        return
    said = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    for name in said.keys() - (TLS_OF_REDIS if scheme == "rediss" else set()):
        raise UnusableUrl(f"says {name}, which cannot be set there.")
    if said.get("ssl_cert_reqs", "required") not in ("required", "optional", "none"):
        raise UnusableUrl("needs required, optional or none for ssl_cert_reqs.")
