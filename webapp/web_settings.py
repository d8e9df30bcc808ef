"""How the API is served: who may call it, how often, and how long a request may take; from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from limits import parse_many

from core.settings import SECONDS, WrongSetting, choice, number
from core.weak_secrets import is_loopback

PROXIES = r"[0-9]", "how many proxies stand before the service, 0 to 9"
GENEROUS = "6000/minute"
OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """`rate_limit` is None for no limit; times are in seconds."""

    auth: bool = True
    rate_limit: str | None = GENEROUS
    trusted_proxies: int = 0
    https_only: bool = False
    statement_timeout: float = 5.0
    pool_timeout: float = 2.0

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ) -> "WebSettings":
        """Raises WrongSetting."""
        auth = choice("ORDERLOG_AUTH", environment, "on", OFF) == "on"
        proxies = int(number("TRUSTED_PROXIES", environment, "0", *PROXIES))
        if not auth:
            _require_loopback(environment.get("HOST") or "127.0.0.1", proxies)
        return cls(
            auth=auth,
            rate_limit=_rate_limit(environment.get("RATE_LIMIT") or (GENEROUS if auth else OFF)),
            trusted_proxies=proxies,
            https_only=choice("HTTPS_ONLY", environment, OFF, "on") == "on",
            statement_timeout=float(number("STATEMENT_TIMEOUT", environment, "5", *SECONDS)),
            pool_timeout=float(number("POOL_TIMEOUT", environment, "2", *SECONDS)),
        )


def _require_loopback(host: str, proxies: int) -> None:
    if not is_loopback(host):
        raise WrongSetting(
            f"ORDERLOG_AUTH=off is only for a service that listens on loopback, and HOST is {host}:"
            " remove one of the two."
        )
    if proxies:
        raise WrongSetting("ORDERLOG_AUTH=off is not for a service behind a proxy: remove it, or TRUSTED_PROXIES.")


def _rate_limit(text: str) -> str | None:
    if text == OFF:
        return None
    try:
        parse_many(text)
    except ValueError as error:
        raise WrongSetting(f"RATE_LIMIT is {text!r}; it must be off, or like 100/second or {GENEROUS}.") from error
    return text
