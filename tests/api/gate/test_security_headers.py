"""What every answer says to browsers and caches, and what no answer tells."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from local.servers import ValkeyServer
from tests.api.gate.test_api_keys import call, operations
from tests.conftest import make_app
from tests.support.calls import COMMANDS
from tests.support.keys import EVERY_SCOPE, Keys, bearing
from webapp.gate.security_headers import HEADERS, HTTPS_ONLY


def test_every_answer_has_them(guarded: FlaskClient, keys: Keys) -> None:
    key = bearing(keys.create(*EVERY_SCOPE).text)
    every = [*operations(guarded, needing_a_key=True), *operations(guarded, needing_a_key=False)]
    assert len(every) > len(COMMANDS)
    for method, path, _ in [*every, ("GET", "/nowhere", None), ("DELETE", "/orders", None)]:
        for headers in (key, {}):
            answer = call(guarded, method, path, headers)
            for name in HEADERS:
                assert answer.headers[name], (method, path, name)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            if "Bearer" in str(headers) and answer.status_code == 200:
                assert "no-store" in answer.headers["Cache-Control"]


def test_an_answer_may_set_its_own(app: Flask) -> None:
    own = "default-src 'self'"
    app.add_url_rule("/page", "page", lambda: ("<p>", {"Content-Security-Policy": own}))

    assert app.test_client().get("/page").headers.getlist("Content-Security-Policy") == [own]


@pytest.mark.parametrize("https_only", ["on", "off"])
def test_only_a_service_behind_tls_insists_on_it(
    database_url: str, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, https_only: str
) -> None:
    monkeypatch.setenv("HTTPS_ONLY", https_only)

    answer = make_app(database_url, valkey.url).test_client().get("/livez")

    assert set(HTTPS_ONLY).isdisjoint(answer.headers.keys()) is (https_only == "off")


@pytest.mark.parametrize(
    "fault", [KeyError("/etc/orderlog/settings.py"), ValueError("SELECT secret FROM keys")], ids=str
)
def test_a_fault_tells_nothing_of_the_inside(app: Flask, fault: Exception) -> None:
    def fail() -> str:
        raise fault

    app.add_url_rule("/fault", "fault", fail)

    answer = app.test_client().get("/fault")

    assert answer.status_code == 500
    for inside in ("Traceback", "SELECT", "/etc", ".py", "KeyError", "ValueError", "line "):
        assert inside not in answer.text
        assert inside not in str(answer.headers)
