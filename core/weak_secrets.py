"""Secrets that anybody would guess are refused, except towards servers on this very machine."""

from collections.abc import Mapping
from ipaddress import ip_address

from core.urls import POSTGRESQL, REDIS, parameters, scheme_of

SHORTEST = 8
SHORTEST_KEY = 32  # of a key that signs: whoever has something signed can try as many as they like
WELL_KNOWN = {
    "12345678", "123456789", "1234567890", "changeit", "changeme", "change-me", "orderlog", "passw0rd", "password",
    "password1", "postgres", "postgresql", "qwertyui", "rabbitmq", "secret123", "supersecret", "testtest",
}  # fmt: skip
# What else than a password may prove to Redis, or to PostgreSQL, who is calling.
REDIS_PROOFS = {"ssl_certfile"}
LIBPQ_PROOFS = {"sslcert", "passfile", "service"}
LIBPQ_PROOFS_IN_ENVIRONMENT = ("PGPASSFILE", "PGSERVICE", "PGSSLCERT")


class WeakSecret(Exception):
    """A default, empty or short secret; the message names the setting and never the secret."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can be meant by this host name or address."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_weak(password: str, user: str | None) -> bool:
    return len(password) < SHORTEST or password.lower() in WELL_KNOWN or password == user


def refuse_weak_url(name: str, url: str, environment: Mapping[str, str]) -> None:
    """Raises WeakSecret for a server elsewhere that is called with no password, or with a weak one; and UnusableUrl."""
    said, scheme = parameters(url), scheme_of(url)
    of_libpq = environment if scheme in POSTGRESQL else {}  # only libpq reads the PG… variables
    address = said.get("hostaddr") or of_libpq.get("PGHOSTADDR")  # goes before any name
    hosts = (address or said.get("host") or of_libpq.get("PGHOST") or "").split(",")
    elsewhere = [host for host in hosts if host and not host.startswith("/") and not is_loopback(host)]
    if not elsewhere:
        return
    password = said.get("password")
    if password is None:
        password = of_libpq.get("PGPASSWORD") or None
    if password is None and _proven_otherwise(scheme, said, environment):
        return
    if is_weak(password or "", said.get("user")):
        raise WeakSecret(
            f"{name} has no password, or one that is easily guessed, for {elsewhere[0]}: give that server a random one"
            f" of {SHORTEST} characters or more."
        )


def refuse_weak_login(name: str, login: str) -> None:
    """Raises WeakSecret for a missing `user:password`, or a weak one."""
    user, _, password = login.partition(":")
    if not user or is_weak(password, user):
        raise WeakSecret(
            f"{name} must be user:password, with a random password of {SHORTEST} characters or more that is not a"
            " common one."
        )


def refuse_weak_key(name: str, key: str) -> None:
    """Raises WeakSecret for a key that signs and is short, or of a few characters only."""
    if len(key) < SHORTEST_KEY or len(set(key)) < SHORTEST:
        raise WeakSecret(f"{name} must be {SHORTEST_KEY} random characters or more: `openssl rand -hex 32` makes them.")


def _proven_otherwise(scheme: str, said: Mapping[str, str], environment: Mapping[str, str]) -> bool:
    if scheme not in POSTGRESQL:
        return scheme in REDIS and not REDIS_PROOFS.isdisjoint(said)
    in_environment = any(environment.get(name) for name in LIBPQ_PROOFS_IN_ENVIRONMENT)
    return in_environment or not LIBPQ_PROOFS.isdisjoint(said)
