"""What the URL of a server says is honoured, or it is refused with a sentence that quotes nothing of it."""

import pytest

from core.settings import Settings, WrongSetting

SECRET = "k3Zq-of-the-tests"
GOOD = {
    "DATABASE_URL": f"postgresql://orderlog:{SECRET}@db.example/orderlog",
    "REDIS_URL": f"redis://:{SECRET}@broker.example:6379/0",
}
DATABASES = ["DATABASE_URL", "DATABASE_REPLICA_URL", "DATABASE_DIRECT_URL", "DATABASE_OWNER_URL"]


def load(name: str, url: str) -> Settings:
    return Settings.load({**GOOD, name: url})


def refusal(name: str, url: str) -> str:
    with pytest.raises(WrongSetting) as caught:
        load(name, url)
    sentence = str(caught.value)
    assert sentence.startswith(f"{name} ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    for part in ("Zq", "tests", "k3"):
        assert part not in sentence
    return sentence


NO_POSTGRESQL = [
    "garbage",
    " ",
    "postgresql",
    "postgresql:",
    f"postgresql:/orderlog:{SECRET}@h/d",
    f"Postgresql://orderlog:{SECRET}@h/d",
    f"mysql://orderlog:{SECRET}@h/d",
    f"mysql+pymysql://orderlog:{SECRET}@h/d",
    f"postgresql+asyncpg://orderlog:{SECRET}@h/d",
    f"redis://:{SECRET}@h:abc/0",
    "sqlite:///orders.db",
    f"postgresql://orderlog:{SECRET}@h:abc/d",
    f"postgresql://orderlog:{SECRET}@h:0/d",
    f"postgresql://orderlog:{SECRET}@h:65536/d",
    f"postgresql://orderlog:{SECRET}@h:５４３２/d",
    f"postgresql://orderlog:{SECRET}@one:5432,two:5433,three:abc/d",
    f"postgresql://orderlog:{SECRET}@/d?host=one,two&port=1,2,3",
    f"postgresql://orderlog:{SECRET}%zz@h/d",
    f"postgresql://orderlog:{SECRET}@{SECRET}@h/d",
    f"postgresql://orderlog:1/{SECRET}@h/d",
    f"postgresql://orderlog:{SECRET}@h/d\n",
    f"postgresql://orderlog:{SECRET}@h/ d",
    f"postgresql://orderlog:{SECRET}@h/d?nosuch=1",
    f"postgresql://orderlog:{SECRET}@h/d?sslmode",
    f"postgresql://orderlog:{SECRET}@[::1/d",
]


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize("url", NO_POSTGRESQL)
def test_what_names_no_postgresql_is_refused(name: str, url: str) -> None:
    assert refusal(name, url) == (
        f"{name} must be like postgresql://user:password@host:5432/database, with other characters percent-encoded."
    )


@pytest.mark.parametrize(
    ("said", "because"),
    [
        ("sslmode=nosuch", 'is refused by libpq: invalid sslmode value: "nosuch".'),
        ("connect_timeout=soon", "needs a whole number for connect_timeout."),
        ("keepalives_idle=1.5", "needs a whole number for keepalives_idle."),
        ("target_session_attrs=nosuch", 'is refused by libpq: invalid target_session_attrs value: "nosuch".'),
        ("service=nosuch", "is refused by libpq: "),
        ("host=other", "says host twice; several servers are host1:port1,host2:port2."),
        ("sslmode=require&sslmode=disable", "says sslmode twice; "),
        ("options=-c%20statement_timeout%3D0", "sets statement_timeout, which the service sets itself."),
        ("options=-c%20TIMEZONE%3DJapan", "sets TIMEZONE, which the service sets itself."),
        ("client_encoding=latin1", "asks for another client_encoding than UTF8."),
    ],
)
@pytest.mark.parametrize("name", DATABASES)
def test_an_option_that_cannot_be_honoured_is_refused(name: str, said: str, because: str) -> None:
    assert refusal(name, f"postgresql://orderlog:{SECRET}@db.example/orderlog?{said}").startswith(f"{name} {because}")


@pytest.mark.parametrize(
    "url",
    [
        f"postgres://orderlog:{SECRET}@one.example:5433,two.example/orderlog?target_session_attrs=read-write",
        f"postgresql://orderlog:{SECRET}@[2001:db8::1]:5432/orderlog?sslmode=verify-full&sslrootcert=system",
        f"postgresql://orderlog:{SECRET}@db.example/orderlog?connect_timeout=9&application_name=shop&gssencmode=disable",
        "postgresql://%2Frun%2Fpostgresql/orderlog",
        "postgresql:///orderlog?host=/run/postgresql&port=5433",
        f"postgresql://orderlog:{SECRET}?{SECRET}@db.example/orderlog",
        f"postgresql://orderlog:{SECRET}%40%2F%3F%23@db.example/order%40log",
        "postgresql://",
    ],
)
def test_whatever_libpq_takes_will_do(url: str) -> None:
    assert load("DATABASE_URL", url).database_url == url


NO_REDIS = [
    "garbage",
    " ",
    f"redis://:{SECRET}@h:abc/0",
    f"redis://:{SECRET}@h:0/0",
    f"redis://:{SECRET}@h:65536/0",
    f"redis://:{SECRET}@/0",
    f"redis://:{SECRET}@h/orders",
    f"redis://:{SECRET}@h/0/1",
    f"redis://:{SECRET}/{SECRET}@h/0",
    f"redis://:{SECRET}@{SECRET}@h/0",
    f"redis://:{SECRET}@h/0#{SECRET}",
    f"redis://:{SECRET}@h/0\n",
    f"redis://:{SECRET}@one,two/0",
    f"redis+sentinel://:{SECRET}@h/0",
    f"memcached://:{SECRET}@h",
    f"http://:{SECRET}@h:6379/0",
    "unix:///run/redis.sock",
]


@pytest.mark.parametrize("url", NO_REDIS)
def test_what_names_no_redis_is_refused(url: str) -> None:
    assert refusal("REDIS_URL", url) == (
        "REDIS_URL must be like redis://:password@host:6379/0, with other characters percent-encoded."
    )


NO_RABBITMQ = [f"amqp://u:{SECRET}@h:abc/v", f"amqp://orderlog:1/{SECRET}@h/v", f"pyamqp://u:{SECRET}@h/v"]


@pytest.mark.parametrize("url", [*NO_REDIS, *NO_RABBITMQ])
def test_what_names_no_broker_is_refused(url: str) -> None:
    assert refusal("BROKER_URL", url) == (
        "BROKER_URL must be like redis://:password@host:6379/0 or amqp://user:password@host:5672/vhost,"
        " with other characters percent-encoded."
    )


@pytest.mark.parametrize(
    ("name", "url", "because"),
    [
        ("REDIS_URL", f"redis://:{SECRET}@h/0?db=3", "says db, which cannot be set there."),
        ("REDIS_URL", f"redis://:{SECRET}@h/0?ssl_cert_reqs=none", "says ssl_cert_reqs, which cannot be set there."),
        ("REDIS_URL", f"rediss://:{SECRET}@h?ssl_cert_reqs=no", "needs required, optional or none for ssl_cert_reqs."),
        ("BROKER_URL", f"amqp://u:{SECRET}@h/v?heartbeat=9", "says heartbeat, which cannot be set there."),
        ("BROKER_URL", f"redis://:{SECRET}@h/0?socket_timeout=9", "says socket_timeout, which cannot be set there."),
    ],
)  # fmt: skip
def test_an_option_that_nobody_heeds_is_refused(name: str, url: str, because: str) -> None:
    assert refusal(name, url) == f"{name} {because}"


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("REDIS_URL", f"rediss://orderlog:{SECRET}@h:6380/2?ssl_cert_reqs=required&ssl_ca_certs=/run/ca.crt"),
        ("REDIS_URL", f"redis://:{SECRET}@h"),
        ("BROKER_URL", f"amqps://orderlog:{SECRET}@h:5671/orders"),
        ("BROKER_URL", f"amqp://orderlog:{SECRET}%40%2F@h//"),
    ],
)
def test_other_servers_will_do(name: str, url: str) -> None:
    assert load(name, url).broker_url == url


@pytest.mark.parametrize("name", [*DATABASES, "REDIS_URL", "BROKER_URL"])
def test_an_empty_url_is_none(name: str) -> None:
    if name in GOOD and name != "BROKER_URL":
        return
    assert load(name, "") == Settings.load(GOOD)
