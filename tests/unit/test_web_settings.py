"""Keys are asked for unless the service says that it listens on loopback and that they are off."""

import pytest

from core.settings import GENEROUS, WebSettings, WrongSetting


def test_by_default_keys_are_asked_for_and_requests_limited() -> None:
    settings = WebSettings.load({})

    assert (settings.auth, settings.rate_limit, settings.trusted_proxies) == (True, GENEROUS, 0)
    assert settings == WebSettings()


@pytest.mark.parametrize("host", [None, "", "127.0.0.1", "localhost", "::1"])
def test_on_loopback_they_may_be_switched_off(host: str | None) -> None:
    settings = WebSettings.load({"ORDERLOG_AUTH": "off"} | ({} if host is None else {"HOST": host}))

    assert (settings.auth, settings.rate_limit) == (False, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_elsewhere_they_may_not(host: str) -> None:
    with pytest.raises(WrongSetting, match=r"^ORDERLOG_AUTH=off is only for a service that listens on loopback") as no:
        WebSettings.load({"ORDERLOG_AUTH": "off", "HOST": host})

    assert "\n" not in str(no.value)
    assert WebSettings.load({"HOST": host}).auth


@pytest.mark.parametrize(
    "environment",
    [
        {"ORDERLOG_AUTH": "off", "TRUSTED_PROXIES": "1"},
        {"ORDERLOG_AUTH": "false"},
        {"ORDERLOG_AUTH": "OFF"},
        {"TRUSTED_PROXIES": "many"},
        {"RATE_LIMIT": "lots"},
        {"RATE_LIMIT": "10"},
        {"PORT": "http"},
        {"PORT": "0"},
        {"PORT": "65536"},
        {"HOST": "orders.example"},
        {"HOST": "127.0.0.1:8000"},
        {"STATEMENT_TIMEOUT": "0"},
        {"STATEMENT_TIMEOUT": "0.000"},
        {"IDLE_TIMEOUT": "0"},
        {"BODY_TIMEOUT": "0.5"},
        {"STATEMENT_TIMEOUT": "5s"},
        {"POOL_TIMEOUT": "-1"},
        {"HTTPS_ONLY": "yes"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(WrongSetting):
        WebSettings.load(environment)


def test_all_of_it_can_be_set() -> None:
    environment = {
        "RATE_LIMIT": "10/second;100/minute",
        "TRUSTED_PROXIES": "2",
        "HTTPS_ONLY": "on",
        "IDLE_TIMEOUT": "60",
        "BODY_TIMEOUT": "5",
        "STATEMENT_TIMEOUT": "0.5",
        "POOL_TIMEOUT": "1",
    }

    assert WebSettings.load(environment) == WebSettings(
        auth=True,
        rate_limit="10/second;100/minute",
        trusted_proxies=2,
        https_only=True,
        idle_timeout=60,
        body_timeout=5,
        statement_timeout=0.5,
        pool_timeout=1.0,
    )


@pytest.mark.parametrize("key", ["short", "a" * 64, "abcabc" * 10])
def test_a_signing_key_that_can_be_guessed_is_refused(key: str) -> None:
    with pytest.raises(WrongSetting, match=r"^SECRET_KEY must be 32 random characters or more") as no:
        WebSettings.load({"SECRET_KEY": key})

    assert key not in str(no.value)


def test_a_signing_key_and_a_currency_can_be_set() -> None:
    key = "0123456789abcdef0123456789abcdef"
    settings = WebSettings.load({"SECRET_KEY": key, "CURRENCY": "EUR"})

    assert (settings.secret_key, settings.currency) == (key, "EUR")
    assert (WebSettings().secret_key, WebSettings().currency) == (None, "JPY")
    with pytest.raises(WrongSetting, match=r"^CURRENCY is 'yen'"):
        WebSettings.load({"CURRENCY": "yen"})
