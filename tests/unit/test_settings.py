"""Where the servers are: the environment says, or else a running `make run`."""

import json
from pathlib import Path

import pytest

from core.settings import MissingSetting, Settings, WrongSetting

DATABASE_URL = "postgresql://orderlog:of-the-tests@db.example/orderlog"
REDIS_URL = "redis://:of-the-tests@broker.example:6379/0"
LOCAL = {"database_url": "postgresql://local/orderlog", "redis_url": "redis://local/0"}


def write_local(data_dir: Path, urls: dict[str, str]) -> None:
    data_dir.mkdir(exist_ok=True)
    (data_dir / "local.json").write_text(json.dumps(urls))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_the_environment_names_the_servers(data_dir: Path) -> None:
    settings = Settings.load({"DATABASE_URL": DATABASE_URL, "REDIS_URL": REDIS_URL, "DATA_DIR": str(data_dir)})

    assert settings == Settings(database_url=DATABASE_URL, redis_url=REDIS_URL, broker_url=REDIS_URL)


def test_beside_make_run_its_servers_are_found(data_dir: Path) -> None:
    write_local(data_dir, LOCAL)

    settings = Settings.load({"DATA_DIR": str(data_dir)})

    assert settings == Settings(
        database_url="postgresql://local/orderlog", redis_url="redis://local/0", broker_url="redis://local/0"
    )


def test_what_make_run_wrote_is_read_only_where_it_is_needed(data_dir: Path) -> None:
    given = {"DATABASE_URL": DATABASE_URL, "DATA_DIR": str(data_dir)}
    write_local(data_dir, {})
    (data_dir / "local.json").write_text("{")
    with pytest.raises(WrongSetting, match=r"^\S+local\.json cannot be read: set DATABASE_URL and REDIS_URL"):
        Settings.load(given)
    (data_dir / "local.json").unlink()
    (data_dir / "local.json").mkdir()
    with pytest.raises(WrongSetting, match="cannot be read"):
        Settings.load(given)

    assert Settings.load({**given, "REDIS_URL": REDIS_URL}).redis_url == REDIS_URL


def test_each_server_of_the_environment_goes_before_the_local_one(data_dir: Path) -> None:
    write_local(data_dir, LOCAL)

    own_database = Settings.load({"DATABASE_URL": DATABASE_URL, "DATA_DIR": str(data_dir)})
    own_broker = Settings.load({"REDIS_URL": REDIS_URL, "DATA_DIR": str(data_dir)})

    assert own_database == Settings(
        database_url=DATABASE_URL, redis_url="redis://local/0", broker_url="redis://local/0"
    )
    assert own_broker == Settings(database_url="postgresql://local/orderlog", redis_url=REDIS_URL, broker_url=REDIS_URL)


def test_the_local_owner_is_not_that_of_a_database_of_the_environment(data_dir: Path) -> None:
    write_local(data_dir, {**LOCAL, "database_owner_url": "postgresql://owner@local/orderlog"})

    assert Settings.load({"DATA_DIR": str(data_dir)}).owner_url == "postgresql://owner@local/orderlog"
    assert Settings.load({"DATABASE_URL": DATABASE_URL, "DATA_DIR": str(data_dir)}).owner_url is None


def test_an_empty_setting_is_none(data_dir: Path) -> None:
    write_local(data_dir, LOCAL)

    settings = Settings.load({"DATABASE_URL": "", "REDIS_URL": "", "DATA_DIR": str(data_dir)})

    assert settings == Settings(
        database_url="postgresql://local/orderlog", redis_url="redis://local/0", broker_url="redis://local/0"
    )


@pytest.mark.parametrize("environment", [{}, {"DATA_DIR": ""}], ids=["not set", "empty"])
def test_the_data_folder_is_var_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_local(tmp_path / "var", LOCAL)

    assert Settings.load(environment).database_url == "postgresql://local/orderlog"


def test_the_environment_is_that_of_the_process(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", DATABASE_URL)
    monkeypatch.setenv("REDIS_URL", REDIS_URL)
    monkeypatch.setenv("DATA_DIR", str(data_dir))
    monkeypatch.delenv("ORDERLOG_AUTH", raising=False)  # as tests of the API leave it

    assert Settings.load() == Settings(database_url=DATABASE_URL, redis_url=REDIS_URL, broker_url=REDIS_URL)


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({}, "DATABASE_URL"),
        ({"REDIS_URL": REDIS_URL}, "DATABASE_URL"),
        ({"DATABASE_URL": DATABASE_URL}, "REDIS_URL"),
        ({"DATABASE_URL": "", "REDIS_URL": REDIS_URL}, "DATABASE_URL"),
        ({"DATABASE_URL": DATABASE_URL, "REDIS_URL": ""}, "REDIS_URL"),
    ],
)
def test_a_missing_server_is_named(data_dir: Path, environment: dict[str, str], missing: str) -> None:
    with pytest.raises(MissingSetting) as caught:
        Settings.load({**environment, "DATA_DIR": str(data_dir)})

    assert str(caught.value) == f"{missing} is not set and no `make run` is up here: set it, or start `make run`."


def test_a_local_server_that_is_not_up_is_missing(data_dir: Path) -> None:
    write_local(data_dir, {"database_url": "postgresql://local/orderlog"})

    with pytest.raises(MissingSetting, match=r"^REDIS_URL "):
        Settings.load({"DATA_DIR": str(data_dir)})


def test_a_replica_answers_queries_where_one_is_named(data_dir: Path) -> None:
    url = "postgresql://orderlog:of-the-tests@replica.example/orderlog"
    servers = {"DATABASE_URL": DATABASE_URL, "REDIS_URL": REDIS_URL, "DATA_DIR": str(data_dir)}

    assert Settings.load({**servers, "DATABASE_REPLICA_URL": url}).replica_url == url
    assert Settings.load({**servers, "DATABASE_REPLICA_URL": ""}).replica_url is None
    with pytest.raises(WrongSetting, match=r"^DATABASE_REPLICA_URL has no password"):
        Settings.load({**servers, "DATABASE_REPLICA_URL": "postgresql://replica.example/orderlog"})


RABBITMQ_URL = "amqp://orderlog:of-the-tests@broker.example:5672/orderlog"


def test_a_broker_of_its_own_needs_no_redis(data_dir: Path) -> None:
    servers = {"DATABASE_URL": DATABASE_URL, "BROKER_URL": RABBITMQ_URL, "DATA_DIR": str(data_dir.parent / "none")}

    alone = Settings.load(servers)
    assert (alone.broker_url, alone.redis_url) == (RABBITMQ_URL, None)
    both = Settings.load({**servers, "REDIS_URL": REDIS_URL})
    assert (both.broker_url, both.redis_url) == (RABBITMQ_URL, REDIS_URL)


@pytest.mark.parametrize(
    ("url", "meaning"),
    [
        ("amqp://broker.example", "has no password"),
        ("amqps://guest:guest@broker.example//", "has no password"),
        ("amqps://broker.example?ssl_certfile=/run/client.crt", "has no password"),
        ("sqs://of-the-tests:of-the-tests@", "must be like"),
        ("broker.example", "must be like"),
    ],
)
def test_a_broker_that_cannot_be_used_is_refused(url: str, meaning: str) -> None:
    with pytest.raises(WrongSetting, match=rf"^BROKER_URL {meaning}"):
        Settings.load({"DATABASE_URL": DATABASE_URL, "REDIS_URL": REDIS_URL, "BROKER_URL": url})
