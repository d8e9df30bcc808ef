"""Who gets in, for how long, and what a form must bring."""

import time

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.api_keys import Scope
from local.servers import ValkeyServer
from tests.conftest import make_app
from tests.support.calls import place
from tests.support.console import addresses, sign_in, token
from tests.support.keys import EVERY_SCOPE, Keys, without
from tests.support.waiting import wait_until
from webapp.console.sign_in import IDLE_SECONDS, LAST_SEEN
from webapp.gate.auth import CACHE_SECONDS

WRONG = f"ol_{'0' * 16}_{'0' * 64}"


def test_every_page_asks_for_a_key_unless_it_is_open(guarded_app: Flask, guarded: FlaskClient) -> None:
    for path, page in addresses(guarded_app, "GET", order_id="ORDER-001", path="nowhere").items():
        assert (guarded.get(path).status_code == 401) is not page.open, path
    assert guarded.get("/console/orders").status_code == 401


def test_a_good_key_leads_to_where_one_wanted_to_go(guarded: FlaskClient, keys: Keys) -> None:
    asked = guarded.get("/console/orders?status=shipped")
    assert 'name="next" value="/console/orders?status=shipped"' in asked.text

    answer = sign_in(guarded, keys.create(Scope.ORDERS_READ).text, next="/console/orders?status=shipped")

    assert (answer.status_code, answer.location) == (303, "/console/orders?status=shipped")
    assert guarded.get("/console/orders").status_code == 200


@pytest.mark.parametrize(
    "place", ["https://evil.example/", "//evil.example/console", "/console/../orders", "/orders", "/console\\@evil"]
)
def test_it_leads_nowhere_else(guarded: FlaskClient, keys: Keys, place: str) -> None:
    assert sign_in(guarded, keys.create(Scope.ORDERS_READ).text, next=place).location == "/console"


def test_a_key_that_opens_nothing_is_told_in_one_sentence(guarded: FlaskClient, keys: Keys) -> None:
    told = {
        "": "This is not an API key",
        "ol_1": "This is not an API key",
        "ol_é": "This is not an API key",
        WRONG: "This key is not known here.",
        keys.expired().text: "This key has expired.",
        keys.revoked().text: "This key has been revoked.",
    }
    for text, sentence in told.items():
        answer = sign_in(guarded, text)
        assert answer.status_code == 401
        assert sentence in answer.text
        assert guarded.get("/console/orders").status_code == 401


def test_a_revoked_key_ends_its_sessions(signed_in: FlaskClient, guarded_app: Flask, keys: Keys) -> None:
    created = keys.create(Scope.ORDERS_READ)
    reader = guarded_app.test_client()
    sign_in(reader, created.text)
    assert reader.get("/console/orders").status_code == 200

    keys.revoke(created)

    wait_until(lambda: reader.get("/console/orders").status_code == 401, CACHE_SECONDS * 20)
    assert signed_in.get("/console/orders").status_code == 200


def test_a_session_ends_when_it_is_not_used(signed_in: FlaskClient) -> None:
    with signed_in.session_transaction(path="/console") as session:
        session[LAST_SEEN] = int(time.time()) - IDLE_SECONDS - 1

    answer = signed_in.get("/console/orders")

    assert answer.status_code == 401
    assert "You were signed out because you had not used the console for half an hour." in answer.text


def test_a_page_that_updates_itself_does_not_count_as_use(signed_in: FlaskClient) -> None:
    long_ago = int(time.time()) - IDLE_SECONDS + 60
    with signed_in.session_transaction(path="/console") as session:
        session[LAST_SEEN] = long_ago

    signed_in.get("/console/orders", headers={"Sec-Fetch-Dest": "empty"})
    with signed_in.session_transaction(path="/console") as session:
        assert session[LAST_SEEN] == long_ago
    signed_in.get("/console/orders", headers={"Sec-Fetch-Dest": "document"})
    with signed_in.session_transaction(path="/console") as session:
        assert session[LAST_SEEN] > long_ago


def test_signing_out_ends_the_session(signed_in: FlaskClient) -> None:
    signed_in.post("/console/sign-out", data={"csrf_token": token(signed_in, "/console/orders")})

    assert signed_in.get("/console/orders").status_code == 401


def test_a_missing_scope_is_named(guarded_app: Flask, keys: Keys) -> None:
    for path, page in addresses(guarded_app, "GET", order_id="ORDER-001", path="nowhere").items():
        if page.scope is not None:
            reader = guarded_app.test_client()
            sign_in(reader, keys.create(*without(EVERY_SCOPE, page.scope)).text)
            answer = reader.get(path)
            assert answer.status_code == 403, path
            assert f"Your key has not the scope {page.scope}" in answer.text
            assert f'href="{path}"' not in reader.get("/console").text


def test_every_form_needs_its_token(signed_in: FlaskClient, guarded_app: Flask) -> None:
    posts = addresses(guarded_app, "POST", order_id="ORDER-001", path="nowhere")
    assert len(posts) > 2
    for path in posts:
        for data in ({}, {"csrf_token": "forged"}):
            answer = signed_in.post(path, data=data)
            assert answer.status_code == 400, path
            assert "The form is too old" in answer.text
    assert signed_in.get("/console/orders").status_code == 200


def test_the_api_needs_no_token_and_takes_no_cookie(client: FlaskClient, signed_in: FlaskClient) -> None:
    assert place(client)
    assert signed_in.get("/orders").status_code == 401


def test_the_cookie_is_closed_to_scripts_and_other_sites(guarded: FlaskClient, keys: Keys) -> None:
    cookie = sign_in(guarded, keys.create(Scope.ORDERS_READ).text).headers["Set-Cookie"]

    assert {"HttpOnly", "Path=/console", "SameSite=Strict"} <= set(cookie.split("; "))


def test_behind_tls_the_cookie_is_for_tls_alone(
    database_url: str, valkey: ValkeyServer, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_ONLY", "on")
    client = make_app(database_url, valkey.url, AUTH=True, SECRET_KEY="k" * 32).test_client()

    assert "Secure" in client.get("/console/sign-in").headers["Set-Cookie"].split("; ")


def test_without_a_signing_key_it_says_what_to_set_and_the_api_works(
    database_url: str, valkey: ValkeyServer, sessions: sessionmaker[Session]
) -> None:
    client = make_app(database_url, valkey.url, AUTH=True, SECRET_KEY=None).test_client()

    for path in ("/console", "/console/orders", "/console/sign-in"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert "Set SECRET_KEY to 32 random characters or more" in answer.text
    assert (
        client.get(
            "/orders", headers={"Authorization": f"Bearer {Keys(sessions).create(Scope.ORDERS_READ).text}"}
        ).status_code
        == 200
    )


def test_without_keys_there_is_nothing_to_sign_in_to(client: FlaskClient) -> None:
    assert client.get("/console/sign-in").location == "/console"
    assert "sign-out" not in client.get("/console").text
