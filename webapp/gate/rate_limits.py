"""How many requests an address and a key may make. Counted in Redis, or per process while that is away."""

import time
from collections.abc import Callable, Collection
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from flask import Flask, g, request
from flask_limiter import Limiter, RequestLimit
from redis.backoff import NoBackoff
from redis.retry import Retry

REDIS_SECONDS = 0.1  # more than that, and the count goes on in memory
IN_MEMORY = "memory://"  # instead of a Redis' URL: each process counts for itself

STORAGE_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": REDIS_SECONDS,
    "socket_timeout": REDIS_SECONDS,
    "retry": Retry(NoBackoff(), 0),
}


class LimitReached(Exception):
    """A limit of so many requests is used up, for so many seconds yet."""

    def __init__(self, amount: int, seconds: int) -> None:
        super().__init__()
        self.headers = {  # in the words of draft-polli-ratelimit-headers-02
            "Retry-After": str(seconds),
            "RateLimit-Limit": str(amount),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(seconds),
        }


def limit_addresses(app: Flask, limit: str, redis_url: str, probes: Collection[str]) -> None:
    """Of all requests but probes; before keys are looked at, so that nobody can try many."""
    _limiter(app, limit, redis_url, name="address", key_func=_address, exempt=lambda: request.endpoint in probes)


def limit_keys(app: Flask, limit: str, redis_url: str) -> None:
    """Of requests with a good key; after it was looked at, so that nobody can use up the limit of another's."""
    _limiter(app, limit, redis_url, name="key", key_func=_key_id, exempt=lambda: not _key_id())


def _limiter(
    app: Flask, limit: str, redis_url: str, *, name: str, key_func: Callable[[], str], exempt: Callable[[], bool]
) -> None:
    limiter = Limiter(
        key_func,
        application_limits=[limit],
        storage_uri=redis_url,
        storage_options=STORAGE_OPTIONS,
        in_memory_fallback=[limit],
        key_prefix=f"orderlog:{name}",
        request_identifier=lambda: "all",  # one count over all routes, the unknown ones included
        on_breach=_remember,
        swallow_errors=True,  # of threads that find Redis away at once, Flask-Limiter lets only one fall back
    )
    limiter.request_filter(exempt)
    limiter.init_app(app)


def _remember(breached: RequestLimit) -> None:
    """Asks the store that has just counted; one that fails now leaves the longest time there can be."""
    g.limit, g.limit_over_at = breached.limit, int(time.time()) + breached.limit.get_expiry()
    g.limit_over_at = breached.reset_at


def reached() -> LimitReached:
    """The limit that this request has met."""
    return LimitReached(g.limit.amount, max(1, g.limit_over_at - int(time.time())))


def _key_id() -> str:
    key_id: str = g.get("api_key_id", "")
    return key_id


def _address() -> str:
    """An IPv6 address counts as its /64, all of which a subscriber has; one that stands for an IPv4 address as that."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)
