"""What starts the web server."""

import pytest

from core.settings import WebSettings, WrongSetting
from webapp.serve import command

APP = "webapp:create_app"


def test_two_processes_on_loopback_are_the_default() -> None:
    started = " ".join(command(APP, WebSettings.load({})))

    assert started.startswith("-m granian ")
    assert "--host 127.0.0.1 --port 8000 --workers 2 --blocking-threads 16" in started
    assert started.endswith(f" {APP}")


def test_address_and_processes_are_those_of_the_environment() -> None:
    started = " ".join(command(APP, WebSettings.load({"HOST": "::1", "PORT": "80", "WEB_PROCESSES": "4"})))

    assert "--host ::1 --port 80 --workers 4 " in started


@pytest.mark.parametrize("value", ["0", "many"])
def test_another_number_of_processes_is_refused_by_name(value: str) -> None:
    with pytest.raises(WrongSetting, match=f"WEB_PROCESSES is '{value}'"):
        WebSettings.load({"WEB_PROCESSES": value})
