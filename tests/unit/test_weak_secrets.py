"""Secrets that anybody would guess are refused, unless only this machine can use them."""

import pytest

from core.settings import Settings, WrongSetting
from core.weak_secrets import WeakSecret, is_loopback, refuse_weak_login, refuse_weak_url

GOOD = "k3Zq-of-the-tests"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres:postgres@db.example/orderlog",
        "postgresql://orderlog:password@db.example/orderlog",
        "postgresql://orderlog:Password@10.0.0.5/orderlog",
        "postgresql://warehouse-1:warehouse-1@db.example/orderlog",
        "postgresql://orderlog:short@db.example/orderlog",
        "postgresql://orderlog@db.example/orderlog",
        "postgresql://orderlog:@db.example/orderlog",
        "postgresql://orderlog:changeme@/orderlog?host=db.example",
        "redis://broker.example:6379/0",
        "redis://:redis@broker.example:6379/0",
    ],
)
def test_a_weak_one_is_refused_for_a_server_elsewhere(url: str) -> None:
    with pytest.raises(WeakSecret, match=r"^DATABASE_URL has no password, or one that is easily guessed, for "):
        refuse_weak_url("DATABASE_URL", url, {})


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://orderlog:{GOOD}@db.example/orderlog",
        "postgresql://postgres:postgres@127.0.0.1/orderlog",
        "postgresql://postgres@localhost/orderlog",
        "postgresql://postgres@[::1]/orderlog",
        "postgresql:///orderlog",
        "postgresql:///orderlog?host=/run/postgresql",
        "postgresql://orderlog@db.example/orderlog?sslcert=/run/client.crt",
        "redis://127.0.0.1:6379/0",
        f"rediss://:{GOOD}@broker.example/0",
    ],
)
def test_others_will_do(url: str) -> None:
    refuse_weak_url("DATABASE_URL", url, {})


LIBPQ_TAKES = [{"PGPASSFILE": "/run/pgpass"}, {"PGSERVICE": "orders"}, {"PGSSLCERT": "/run/crt"}, {"PGPASSWORD": GOOD}]


@pytest.mark.parametrize("environment", LIBPQ_TAKES, ids=str)
def test_libpq_may_take_the_password_from_elsewhere(environment: dict[str, str]) -> None:
    refuse_weak_url("DATABASE_URL", "postgresql://orderlog@db.example/orderlog", environment)


@pytest.mark.parametrize("environment", LIBPQ_TAKES, ids=str)
def test_redis_does_not_take_it_from_there(environment: dict[str, str]) -> None:
    with pytest.raises(WeakSecret, match=r"^REDIS_URL has no password"):
        refuse_weak_url("REDIS_URL", "redis://broker.example:6379/0", environment)


def test_each_has_certificates_of_its_own() -> None:
    refuse_weak_url("REDIS_URL", "rediss://broker.example/0?ssl_certfile=/run/client.crt", {})
    with pytest.raises(WeakSecret):
        refuse_weak_url("REDIS_URL", "rediss://broker.example/0?sslcert=/run/client.crt", {})


@pytest.mark.parametrize("password", ["", "short", "Password", "warehouse-1"])
def test_a_password_in_the_environment_is_judged_too(password: str) -> None:
    with pytest.raises(WeakSecret, match=r"^DATABASE_URL has no password, or one that is easily guessed"):
        refuse_weak_url("DATABASE_URL", "postgresql://warehouse-1@db.example/orderlog", {"PGPASSWORD": password})


def test_an_address_in_the_environment_goes_before_the_name_in_the_url() -> None:
    url, elsewhere = "postgresql://localhost/orderlog", {"PGHOSTADDR": "10.0.0.5", "PGPASSWORD": "password"}

    with pytest.raises(WeakSecret, match=r" for 10\.0\.0\.5: "):
        refuse_weak_url("DATABASE_URL", url, elsewhere)
    refuse_weak_url("DATABASE_URL", f"{url}?hostaddr=127.0.0.1", elsewhere)


def test_libpq_prefers_the_password_of_the_url_then_that_of_the_environment() -> None:
    url, weak = "postgresql://orderlog{}@db.example/orderlog", {"PGPASSWORD": "password"}

    refuse_weak_url("DATABASE_URL", url.format(f":{GOOD}"), weak)
    for environment, password in [(weak | {"PGPASSFILE": "/run/pgpass"}, ""), ({"PGPASSWORD": GOOD}, ":password")]:
        with pytest.raises(WeakSecret):
            refuse_weak_url("DATABASE_URL", url.format(password), environment)


@pytest.mark.parametrize("variable", ["PGHOST", "PGHOSTADDR"])
def test_the_server_may_be_named_by_the_environment(variable: str) -> None:
    url = "postgresql://orderlog:orderlog@/orderlog"

    refuse_weak_url("DATABASE_URL", url, {variable: "127.0.0.1"})
    with pytest.raises(WeakSecret, match=r"192\.0\.2\.1"):
        refuse_weak_url("DATABASE_URL", url, {variable: "192.0.2.1"})


def test_the_settings_refuse_it_and_do_not_repeat_it() -> None:
    weak = {"DATABASE_URL": "postgresql://orderlog:sh0rt@db.example/orderlog", "REDIS_URL": "redis://127.0.0.1/0"}

    with pytest.raises(WrongSetting, match=r"^DATABASE_URL has no password") as caught:
        Settings.load(weak)

    assert "sh0rt" not in str(caught.value)


@pytest.mark.parametrize("login", ["", "user:password", "user", "user:", f":{GOOD}", "orderlog:orderlog", "me:1234567"])
def test_a_weak_login_is_refused(login: str) -> None:
    with pytest.raises(WeakSecret, match=r"^FLOWER_BASIC_AUTH must be user:password"):
        refuse_weak_login("FLOWER_BASIC_AUTH", login)


def test_a_login_with_a_random_password_will_do() -> None:
    refuse_weak_login("FLOWER_BASIC_AUTH", f"orderlog:{GOOD}")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("[::1]", True), ("localhost", True),
        ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.example", False), ("", False),
        ("::ffff:10.0.0.1", False), ("127.0.0.1.example", False),
    ],
)  # fmt: skip
def test_which_hosts_are_this_machine(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
