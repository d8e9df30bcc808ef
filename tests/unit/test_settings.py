"""Where the servers are: the environment says, or else a running `make run`."""

import json
from pathlib import Path

import pytest

from core.settings import MissingSetting, Settings

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

    assert settings == Settings(database_url=DATABASE_URL, redis_url=REDIS_URL)


def test_beside_make_run_its_servers_are_found(data_dir: Path) -> None:
    write_local(data_dir, LOCAL)

    settings = Settings.load({"DATA_DIR": str(data_dir)})

    assert settings == Settings(database_url="postgresql://local/orderlog", redis_url="redis://local/0")


def test_each_server_of_the_environment_goes_before_the_local_one(data_dir: Path) -> None:
    write_local(data_dir, LOCAL)

    own_database = Settings.load({"DATABASE_URL": DATABASE_URL, "DATA_DIR": str(data_dir)})
    own_broker = Settings.load({"REDIS_URL": REDIS_URL, "DATA_DIR": str(data_dir)})

    assert own_database == Settings(database_url=DATABASE_URL, redis_url="redis://local/0")
    assert own_broker == Settings(database_url="postgresql://local/orderlog", redis_url=REDIS_URL)


def test_an_empty_setting_is_none(data_dir: Path) -> None:
    write_local(data_dir, LOCAL)

    settings = Settings.load({"DATABASE_URL": "", "REDIS_URL": "", "DATA_DIR": str(data_dir)})

    assert settings == Settings(database_url="postgresql://local/orderlog", redis_url="redis://local/0")


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

    assert Settings.load() == Settings(database_url=DATABASE_URL, redis_url=REDIS_URL)


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
