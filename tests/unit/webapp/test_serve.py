"""Which web server a setting starts, and with what."""

import pytest

from core.settings import WrongSetting
from webapp.serve import command

APP = "webapp:create_app"


def test_granian_on_loopback_is_the_default() -> None:
    started = " ".join(command(APP, {}))

    assert started.startswith("-m granian ")
    assert "--host 127.0.0.1 --port 8000 --workers 2 --blocking-threads 16" in started
    assert started.endswith(f" {APP}")


def test_gunicorn_gets_as_many_processes_and_threads() -> None:
    started = " ".join(command(APP, {"WEB_SERVER": "gunicorn", "HOST": "::1", "PORT": "80", "WEB_PROCESSES": "4"}))

    assert started.startswith("-m gunicorn ")
    assert "--bind ::1:80 --workers 4 --threads 16" in started
    assert started.endswith(f" {APP}()")


@pytest.mark.parametrize(
    ("name", "value"), [("WEB_SERVER", "waitress"), ("WEB_PROCESSES", "0"), ("WEB_PROCESSES", "many")]
)
def test_anything_else_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(WrongSetting, match=f"{name} is '{value}'"):
        command(APP, {name: value})
