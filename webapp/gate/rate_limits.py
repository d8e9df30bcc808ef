"""How many requests an address and a key may make. Counted in Redis, or per process while that is away."""

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from threading import Lock
from typing import Any

from flask import Flask, g, request
from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage, RedisStorage
from redis import RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from webapp.api.headers import InvalidHeader

LIMITS = "orderlog-limits"
REDIS_SECONDS = 0.1  # more than that, and the count goes on in memory
RETRY_SECONDS = 1.0  # until Redis is asked again
SHARE_SECONDS = 0.1  # that a share should last
KEPT_SECONDS = 1.0  # after which the rest of a share is forgotten, and a refusal is asked for again
SHARES_OF_A_LIMIT = 20  # at least
MOST_SHARES = 10_000

REDIS_OPTIONS: dict[str, Any] = {
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


@dataclass(slots=True)
class Share:
    """Requests that are counted already and may still be made: `left` of `size`, taken at that time."""

    size: int = 1
    left: int = 0
    taken_at: float = 0.0
    refused_until: float = 0.0
    begins_anew_at: float = 0.0
    lock: Lock = field(default_factory=Lock)


class Limits:
    """Takes shares of a limit, as large as what was used lately, so that few requests wait for Redis.

    A limit is never passed that way. It may be reached early by what other processes have taken and do not use: what
    they let through in the last SHARE_SECONDS, and a twentieth at the most."""

    def __init__(self, limits: str, redis_url: str | None) -> None:
        self._limits = parse_many(limits)
        self._redis = RedisStorage(redis_url, **REDIS_OPTIONS) if redis_url else None
        self._redis_away_until = 0.0
        self._memory = MemoryStorage()
        self._shares: dict[str, Share] = {}

    def count(self, kind: str, name: str) -> None:
        """One request more of this name. Raises LimitReached."""
        for limit in self._limits:
            key = limit.key_for(f"orderlog:{kind}", name)
            share = self._shares.get(key) or self._begin(key)
            with share.lock:
                if not share.left or time.time() > share.taken_at + KEPT_SECONDS:
                    self._take(limit, key, share)
                share.left -= 1

    def close(self) -> None:
        if self._redis:
            self._redis.storage.close()

    def _begin(self, key: str) -> Share:
        if len(self._shares) >= MOST_SHARES:
            self._shares.clear()
        return self._shares.setdefault(key, Share())

    def _take(self, limit: RateLimitItem, key: str, share: Share) -> None:
        now = time.time()
        if now < share.refused_until:
            raise LimitReached(limit.amount, max(1, int(share.begins_anew_at - now)))
        lasted = now - share.taken_at > SHARE_SECONDS
        share.size = max(1, min(share.size // 2 if lasted else share.size * 2, limit.amount // SHARES_OF_A_LIMIT))
        share.left = share.size - max(0, self._counted(limit, key, share.size) - limit.amount)
        share.taken_at = now
        if share.left <= 0:
            share.left = 0
            share.begins_anew_at = self._end(limit, key)
            share.refused_until = min(now + KEPT_SECONDS, share.begins_anew_at)
            raise LimitReached(limit.amount, max(1, int(share.begins_anew_at - now)))

    def _counted(self, limit: RateLimitItem, key: str, number: int) -> int:
        """With these; one request a second tries whether Redis is back, and no other waits for that."""
        now = time.monotonic()
        if self._redis and now >= self._redis_away_until:
            if self._redis_away_until:
                self._redis_away_until = now + RETRY_SECONDS
            try:
                counted = self._redis.incr(key, limit.get_expiry(), number)
            except RedisError:
                self._redis_away_until = time.monotonic() + RETRY_SECONDS
            else:
                self._redis_away_until = 0.0
                return counted
        return self._memory.incr(key, limit.get_expiry(), number)

    def _end(self, limit: RateLimitItem, key: str) -> float:
        """When the limit begins anew; if Redis fails now, the longest time there can be."""
        try:
            counts = self._redis if self._redis and not self._redis_away_until else self._memory
            return counts.get_expiry(key)
        except RedisError:
            return time.time() + limit.get_expiry()


def limit_addresses(app: Flask, limits: Limits, *, proxies: int, probes: Collection[str]) -> None:
    """Of all requests but probes; before keys are looked at, so that nobody can try many."""

    def count() -> None:
        if request.endpoint not in probes:
            limits.count("address", _network(_client(proxies)))

    app.before_request(count)


def limit_keys(app: Flask, limits: Limits) -> None:
    """Of requests with a good key; after it was looked at, so that nobody can use up the limit of another's."""

    def count() -> None:
        if key_id := g.get("api_key_id"):
            limits.count("key", key_id)

    app.before_request(count)


def _client(proxies: int) -> str:
    """The address that the outermost of these proxies has seen, or the peer if X-Forwarded-For has fewer entries."""
    entries = request.headers.get("X-Forwarded-For", "").rsplit(",", proxies) if proxies else []
    told = entries[-proxies].strip() if 0 < proxies <= len(entries) else ""
    return told or request.remote_addr or ""


def _network(client: str) -> str:
    """An IPv6 address counts as its /64, all of which a subscriber has; one that stands for an IPv4 address as that.

    Proxies write 192.0.2.1:80 and [2001:db8::1]:80 too. Raises InvalidHeader: unreadable ones would share one count."""
    host = client.lstrip("[").partition("]")[0] if client.startswith("[") else client
    host = host.partition(":")[0] if host.count(":") == 1 else host
    try:
        address = ip_address(host)
    except ValueError as error:
        raise InvalidHeader("X-Forwarded-For must hold addresses, which the proxies have seen.") from error
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), 64), strict=False))
    return str(address)
