"""What the environment says: the only module that reads it. Each process loads it once, and passes it on."""

import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from limits import parse_many

from core.orders.values import MAX_ITEMS
from core.urls import POSTGRESQL, RABBITMQ, REDIS, UnusableUrl, parameters, refuse_unheeded, scheme_of
from core.weak_secrets import WeakSecret, is_loopback, refuse_weak_key, refuse_weak_login, refuse_weak_url


class MissingSetting(Exception):
    """A setting without which nothing can start; the message says how to give it."""


class WrongSetting(Exception):
    """A setting that cannot be used; the message says what would do."""


# What a number must look like, and how to say so.
ATTEMPTS = r"[1-9]\d{0,3}", "a whole number from 1 to 9999"
HOURS = r"[1-9]\d{0,3}", "a whole number of hours from 1 to 9999"
SECONDS = r"\d{1,5}(\.\d{1,3})?", "a number of seconds below 100000, such as 1 or 0.5"
TIMEOUT = r"[1-9]\d?", "a whole number of seconds from 1 to 99"
POSITIVE_SECONDS = rf"(?=.*[1-9]){SECONDS[0]}", f"{SECONDS[1]}, and not 0"
PORT = r"([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])", "a port from 1 to 65535, such as 8000"
PROCESSES = r"[1-9]\d?", "a number of processes from 1 to 99"
MOST_STREAMS = r"\d{1,4}", "a whole number of streams from 0 to 9999"
ITEMS = r"[1-9]\d{0,4}", "a whole number of items from 1 to 99999"
CURRENCY = r"[A-Z]{3}", "three capital letters of ISO 4217, such as JPY or EUR"
PROXIES = r"[0-9]", "how many proxies stand before the service, 0 to 9"

GENEROUS = "6000/minute"
OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often an order that fails is tried before it is parked; pauses in seconds, doubled each time and jittered."""

    attempts: int = 5
    first_pause: float = 1.0
    longest_pause: float = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The broker is Redis too unless it has a URL of its own; without a `replica_url` the database answers queries.

    `owner_url` is for migrations and API keys, if the role that owns the tables is another than the service's;
    `direct_url` goes past a pooler. `pooled` is for a pooler that cannot be found out."""

    database_url: str
    redis_url: str | None
    broker_url: str
    replica_url: str | None = None
    owner_url: str | None = None
    direct_url: str | None = None
    pooled: bool = False
    patience: Patience = Patience()
    idempotency_hours: int = 24
    log_format: str = "json"
    log_level: str = "INFO"
    development: bool = False  # webhooks may go to this machine, and over http

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Where the servers are is known from a running `make run` too. Raises MissingSetting, WrongSetting."""
        all_given = environment.get("DATABASE_URL") and environment.get("REDIS_URL")
        local = {} if all_given else _local_urls(Path(environment.get("DATA_DIR") or "var") / "local.json")
        database_url, replica_url, direct_url = (
            _url(name, environment, local, POSTGRESQL)
            for name in ("DATABASE_URL", "DATABASE_REPLICA_URL", "DATABASE_DIRECT_URL")
        )
        redis_url = _url("REDIS_URL", environment, local, REDIS)
        broker_url = _url("BROKER_URL", environment, local, (*REDIS, *RABBITMQ))
        of_same_server = {} if environment.get("DATABASE_URL") else local
        return cls(
            database_url=_required("DATABASE_URL", database_url),
            redis_url=redis_url,
            broker_url=broker_url or _required("REDIS_URL", redis_url),
            replica_url=replica_url,
            owner_url=_url("DATABASE_OWNER_URL", environment, of_same_server, POSTGRESQL),
            direct_url=direct_url,
            pooled=choice("DATABASE_POOLER", environment, "auto", "transaction") == "transaction",
            patience=Patience(
                attempts=int(number("PROJECTION_ATTEMPTS", environment, "5", *ATTEMPTS)),
                first_pause=float(number("PROJECTION_FIRST_PAUSE", environment, "1", *SECONDS)),
                longest_pause=float(number("PROJECTION_LONGEST_PAUSE", environment, "60", *SECONDS)),
            ),
            idempotency_hours=int(number("IDEMPOTENCY_HOURS", environment, "24", *HOURS)),
            log_format=log_format(environment),
            log_level=choice("LOG_LEVEL", environment, "INFO", "DEBUG", "WARNING", "ERROR"),
            development=choice("ORDERLOG_AUTH", environment, "on", OFF) == OFF,
        )

    @property
    def commands_url(self) -> str:
        """Where commands of the service work for long, and a rebuild holds its lock: past a pooler if possible."""
        return self.direct_url or self.database_url

    @property
    def commands_pooled(self) -> bool:
        return self.pooled and not self.direct_url

    @property
    def listen_url(self) -> str | None:
        """Where LISTEN may work; a pooler that nobody has told of is found out there."""
        return self.direct_url or (None if self.pooled else self.database_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where the API listens, who may call it and how often, how long a request may take, and how large an order is.

    `rate_limit` is None for no limit; times are in seconds. `secret_key` signs the console's cookies, and `currency` is
    that of its amounts."""

    host: str = "127.0.0.1"
    port: str = "8000"
    processes: int = 2
    auth: bool = True
    rate_limit: str | None = GENEROUS
    trusted_proxies: int = 0
    https_only: bool = False
    idle_timeout: int = 30
    body_timeout: int = 15
    statement_timeout: float = 5.0
    pool_timeout: float = 2.0
    max_items: int = MAX_ITEMS
    streams: int = 200
    secret_key: str | None = None
    currency: str = "JPY"

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ) -> "WebSettings":
        """Raises WrongSetting."""
        auth = choice("ORDERLOG_AUTH", environment, "on", OFF) == "on"
        host = environment.get("HOST") or "127.0.0.1"
        proxies = int(number("TRUSTED_PROXIES", environment, "0", *PROXIES))
        if not auth:
            _require_loopback(host, proxies)
        return cls(
            host=_address(host),
            port=number("PORT", environment, "8000", *PORT),
            processes=int(number("WEB_PROCESSES", environment, "2", *PROCESSES)),
            auth=auth,
            rate_limit=_rate_limit(environment.get("RATE_LIMIT") or (GENEROUS if auth else OFF)),
            trusted_proxies=proxies,
            https_only=choice("HTTPS_ONLY", environment, OFF, "on") == "on",
            idle_timeout=int(number("IDLE_TIMEOUT", environment, "30", *TIMEOUT)),
            body_timeout=int(number("BODY_TIMEOUT", environment, "15", *TIMEOUT)),
            statement_timeout=float(number("STATEMENT_TIMEOUT", environment, "5", *POSITIVE_SECONDS)),
            pool_timeout=float(number("POOL_TIMEOUT", environment, "2", *SECONDS)),
            max_items=int(number("MAX_ITEMS", environment, str(MAX_ITEMS), *ITEMS)),
            streams=int(number("STREAMS", environment, "200", *MOST_STREAMS)),
            secret_key=_secret_key(environment.get("SECRET_KEY") or None),
            currency=number("CURRENCY", environment, "JPY", *CURRENCY),
        )


def log_format(environment: Mapping[str, str] = os.environ) -> str:
    """Raises WrongSetting."""
    return choice("LOG_FORMAT", environment, "json", "plain")


def flower_login(environment: Mapping[str, str] = os.environ) -> str:
    """The `user:password` that Flower asks for. Raises WeakSecret."""
    login = environment.get("FLOWER_BASIC_AUTH", "")
    refuse_weak_login("FLOWER_BASIC_AUTH", login)
    return login


def is_redis(broker_url: str) -> bool:
    return scheme_of(broker_url) in REDIS


def _url(name: str, environment: Mapping[str, str], local: Mapping[str, str], schemes: Collection[str]) -> str | None:
    url = environment.get(name)
    if not url:
        return local.get(name.lower())
    try:
        parameters(url, schemes)
        refuse_weak_url(name, url, environment)
        refuse_unheeded(url)
    except WeakSecret as error:
        raise WrongSetting(str(error)) from error
    except UnusableUrl as error:
        raise WrongSetting(f"{name} {error}") from error
    return url


def _required(name: str, url: str | None) -> str:
    if not url:
        raise MissingSetting(f"{name} is not set and no `make run` is up here: set it, or start `make run`.")
    return url


def _require_loopback(host: str, proxies: int) -> None:
    if not is_loopback(host):
        raise WrongSetting(
            f"ORDERLOG_AUTH=off is only for a service that listens on loopback, and HOST is {host}:"
            " remove one of the two."
        )
    if proxies:
        raise WrongSetting("ORDERLOG_AUTH=off is not for a service behind a proxy: remove it, or TRUSTED_PROXIES.")


def _address(host: str) -> str:
    """The web server looks no names up."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        return str(ip_address(host))
    except ValueError as error:
        raise WrongSetting(f"HOST is {host!r}; it must be an IP address, such as 127.0.0.1 or 0.0.0.0.") from error


def _rate_limit(text: str) -> str | None:
    if text == OFF:
        return None
    try:
        parse_many(text)
    except ValueError as error:
        raise WrongSetting(f"RATE_LIMIT is {text!r}; it must be off, or like 100/second or {GENEROUS}.") from error
    return text


def _secret_key(key: str | None) -> str | None:
    try:
        if key is not None:
            refuse_weak_key("SECRET_KEY", key)
    except WeakSecret as error:
        raise WrongSetting(str(error)) from error
    return key


def number(name: str, environment: Mapping[str, str], default: str, pattern: str, meaning: str) -> str:
    """Raises WrongSetting."""
    value = environment.get(name) or default
    if not re.fullmatch(pattern, value, re.ASCII):
        raise WrongSetting(f"{name} is {value!r}; it must be {meaning}.")
    return value


def choice(name: str, environment: Mapping[str, str], default: str, *others: str) -> str:
    """Raises WrongSetting."""
    value = environment.get(name) or default
    if value not in (default, *others):
        raise WrongSetting(f"{name} is {value!r}; it must be {', '.join(others)} or {default}.")
    return value


def _local_urls(file: Path) -> dict[str, str]:
    """The URLs that `make run` writes while its servers are up, so that commands in another shell find them."""
    try:
        urls: dict[str, str] = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise WrongSetting(f"{file} cannot be read: set DATABASE_URL and REDIS_URL, or DATA_DIR.") from error
    return urls
