"""What starts the web server."""

import pytest
from granian.constants import HTTPModes
from granian.http import HTTP1Settings

from core.settings import WebSettings, WrongSetting
from webapp.serve import server


def test_two_processes_on_loopback_are_the_default() -> None:
    granian = server(WebSettings.load({}))

    assert (granian.bind_addr, granian.bind_port, granian.workers) == ("127.0.0.1", 8000, 2)


def test_address_and_processes_are_those_of_the_environment() -> None:
    granian = server(WebSettings.load({"HOST": "::1", "PORT": "80", "WEB_PROCESSES": "4"}))

    assert (granian.bind_addr, granian.bind_port, granian.workers) == ("::1", 80, 4)


def test_only_http_1_is_spoken_and_heads_are_short_and_quick() -> None:
    granian = server(WebSettings.load({}))

    assert granian.http is HTTPModes.http1
    assert granian.http1_settings == HTTP1Settings(header_read_timeout=30_000, max_buffer_size=16 * 1024)


@pytest.mark.parametrize("value", ["0", "many"])
def test_another_number_of_processes_is_refused_by_name(value: str) -> None:
    with pytest.raises(WrongSetting, match=f"WEB_PROCESSES is '{value}'"):
        WebSettings.load({"WEB_PROCESSES": value})
