"""Every operation asks for a good key with the scope that it needs, and an event tells whose key it was."""

import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.test import TestResponse

from core.api_keys import Scope
from tests.support.calls import COMMANDS, nothing_stored, order_after, problem, read, send
from tests.support.keys import EVERY_SCOPE, NOW, Keys, bearing, without
from webapp.gate import auth
from webapp.gate.auth import CACHE, CACHE_SECONDS

NO_SUCH_WEBHOOK = "019a5e3f-77aa-7b21-8c34-1d2e3f405162"
NO_SUCH_KEY = f"ol_{'0' * 16}_{'0' * 64}"
BODY = COMMANDS["place_order"][1]


def operations(client: FlaskClient, *, needing_a_key: bool) -> Iterator[tuple[str, str, Scope | None]]:
    """The method, a path and the scope of every operation of the contract, and HEAD where there is GET."""
    examples = {"order_id": "ORDER-001", "status": "pending", "slug": "not-found", "webhook_id": NO_SUCH_WEBHOOK}
    contract = read(client.get("/openapi.json"))
    for template, methods in contract["paths"].items():
        path = template.format_map(examples)
        for method in [name for name in methods if name in ("get", "post", "patch", "delete")]:
            security = methods[method]["security"]
            if bool(security) is needing_a_key:
                needed = Scope(security[0]["apiKey"][0]) if security else None
                yield from ((each, path, needed) for each in (["GET", "HEAD"] if method == "get" else [method.upper()]))


def call(client: FlaskClient, method: str, path: str, headers: dict[str, str]) -> TestResponse:
    return client.open(path, method=method, headers=headers, json=BODY if method in ("POST", "PATCH") else None)


def assert_refused(answer: TestResponse, error: str | None) -> None:
    if answer.request.method != "HEAD":
        problem(answer, 401, "key-required")
    assert answer.status_code == 401
    given = f', error="{error}"' if error else ""
    assert answer.headers["WWW-Authenticate"] == f'Bearer realm="orderlog"{given}'


def test_no_route_opens_without_a_good_key(guarded: FlaskClient, keys: Keys, sessions: sessionmaker[Session]) -> None:
    good = keys.create(*EVERY_SCOPE).text
    wrong_secret = f"{good[:-1]}{'0' if good[-1] != '0' else '1'}"
    bad = {
        "unknown": bearing(NO_SUCH_KEY),
        "wrong": bearing(wrong_secret),
        "expired": bearing(keys.expired().text),
        "revoked": bearing(keys.revoked().text),
        "malformed": bearing("ol_"),
        "another scheme": {"Authorization": f"Basic {good}"},
    }
    seen = 0
    with nothing_stored(sessions):
        for method, path, _ in operations(guarded, needing_a_key=True):
            seen += 1
            assert_refused(call(guarded, method, path, {}), error=None)
            for headers in bad.values():
                assert_refused(call(guarded, method, path, headers), error="invalid_token")
    assert seen > len(COMMANDS)
    assert_refused(guarded.options("/orders"), error=None)  # two routes share this one


def test_no_route_opens_without_its_scope(guarded: FlaskClient, keys: Keys, sessions: sessionmaker[Session]) -> None:
    too_weak = {scope: bearing(keys.create(*without(EVERY_SCOPE, scope)).text) for scope in Scope}
    with nothing_stored(sessions):
        for method, path, needed in operations(guarded, needing_a_key=True):
            assert needed is not None
            answer = call(guarded, method, path, too_weak[needed])

            assert answer.status_code == 403
            challenge = f'Bearer realm="orderlog", error="insufficient_scope", scope="{needed}"'
            assert answer.headers["WWW-Authenticate"] == challenge
            if method != "HEAD":
                assert problem(answer, 403, "scope-required")["needed_scope"] == needed


def test_every_route_opens_for_its_scope_alone(guarded: FlaskClient, keys: Keys) -> None:
    enough = {scope: bearing(keys.create(scope).text) for scope in Scope}
    for method, path, needed in operations(guarded, needing_a_key=True):
        assert needed is not None
        assert call(guarded, method, path, enough[needed]).status_code not in (401, 403)


def test_the_open_routes_ask_for_nothing(guarded: FlaskClient) -> None:
    for method, path, _ in operations(guarded, needing_a_key=False):
        assert call(guarded, method, path, {}).status_code == 200
    problem(guarded.get("/nowhere"), 404, "not-found")
    problem(guarded.delete("/orders"), 405, "method-not-allowed")


def test_a_route_that_nobody_listed_is_open_to_nobody(guarded_app: Flask, guarded: FlaskClient, keys: Keys) -> None:
    guarded_app.add_url_rule("/forgotten", "forgotten", lambda: "open")

    problem(guarded.get("/forgotten"), 404, "not-found")
    problem(guarded.get("/forgotten", headers=bearing(keys.create(*EVERY_SCOPE).text)), 404, "not-found")


def test_a_scope_of_another_release_leaves_a_key_its_own(
    guarded: FlaskClient, keys: Keys, sessions: sessionmaker[Session]
) -> None:
    good = bearing(keys.create(Scope.ORDERS_READ).text)
    with sessions.begin() as session:
        session.execute(text("UPDATE api_keys SET scopes = scopes || ARRAY['admin']"))

    assert guarded.get("/orders", headers=good).status_code == 200
    problem(guarded.post("/orders", headers=good, json=BODY), 403, "scope-required")


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer ", "Bearer a b", "Bearer ol_0_0", f"Bearer {NO_SUCH_KEY}x", "Bearer é", "x" * 5000, ","],
)
def test_a_header_that_holds_no_key_is_refused(guarded: FlaskClient, value: str) -> None:
    assert_refused(guarded.get("/orders", headers={"Authorization": value}), error="invalid_token")


def test_a_command_that_is_sent_again_with_the_next_key_of_its_client_is_run_once(
    guarded: FlaskClient, keys: Keys, sessions: sessionmaker[Session]
) -> None:
    first, second, other = (keys.create(Scope.ORDERS_WRITE, name=name) for name in ("shop", "shop", "warehouse"))
    once = {"Idempotency-Key": "order-17"}

    answer = send(guarded, "place_order", "", {**once, **bearing(first.text)})
    keys.revoke(first)
    with nothing_stored(sessions):
        again = send(guarded, "place_order", "", {**once, **bearing(second.text)})

    assert again.data == answer.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in send(guarded, "place_order", "", {**once, **bearing(other.text)}).headers


def test_neither_the_query_nor_the_case_of_the_scheme_matters(guarded: FlaskClient, keys: Keys) -> None:
    good = keys.create(Scope.ORDERS_READ).text

    assert_refused(guarded.get(f"/orders?access_token={good}"), error=None)
    assert guarded.get("/orders", headers={"Authorization": f"bearer {good}"}).status_code == 200


def test_the_holder_learns_why_a_key_has_ended_and_nobody_else_does(guarded: FlaskClient, keys: Keys) -> None:
    expired, revoked = keys.expired().text, keys.revoked().text

    assert "expired" in guarded.get("/orders", headers=bearing(expired)).text
    assert "revoked" in guarded.get("/orders", headers=bearing(revoked)).text
    for guessed in (f"{expired[:-64]}{'0' * 64}", NO_SUCH_KEY):
        detail = problem(guarded.get("/orders", headers=bearing(guessed)), 401, "key-required")["detail"]
        assert detail == "The key is not known here."


def test_a_revoked_key_ends_within_a_second(guarded: FlaskClient, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    created = keys.create(Scope.ORDERS_READ)
    assert guarded.get("/orders", headers=bearing(created.text)).status_code == 200

    keys.revoke(created)
    monkeypatch.setattr(auth, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + CACHE_SECONDS))

    assert CACHE_SECONDS < 1
    assert_refused(guarded.get("/orders", headers=bearing(created.text)), error="invalid_token")


def test_a_key_expires_on_time_however_lately_it_was_used(guarded_app: Flask, keys: Keys) -> None:
    created = keys.create(Scope.ORDERS_READ, expires_at=NOW + timedelta(hours=1))
    cache = guarded_app.extensions[CACHE]
    with guarded_app.app_context():
        assert cache.authenticate(created.text, NOW).name == "shop"
        with pytest.raises(Exception, match="has expired"):
            cache.authenticate(created.text, NOW + timedelta(hours=1))


def test_the_name_of_the_key_is_the_actor_of_its_events(
    guarded: FlaskClient, keys: Keys, sessions: sessionmaker[Session]
) -> None:
    headers = bearing(keys.create(Scope.ORDERS_WRITE, name="東京店").text)

    order_id = read(guarded.post("/orders", json=BODY, headers=headers))["order_id"]

    assert actor(sessions, order_id) == "東京店"


def test_without_keys_the_actor_is_anonymous(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = read(client.post("/orders", json=BODY, headers=bearing(NO_SUCH_KEY)))["order_id"]

    assert actor(sessions, order_id) == "anonymous"


def actor(sessions: sessionmaker[Session], order_id: str) -> str:
    with sessions.begin() as session:
        query = text("SELECT metadata->>'actor' FROM events WHERE aggregate_id = :id")
        return str(session.execute(query, {"id": order_id}).scalar_one())


# Without keys, only this machine is answered.


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": "2001:db8::1"},
        {"REMOTE_ADDR": ""},
        {"SERVER_NAME": "0.0.0.0"},
        {"SERVER_NAME": "::"},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.7"},
        {"HTTP_FORWARDED": "for=192.0.2.7"},
        {"HTTP_VIA": "1.1 proxy"},
    ],
    ids=str,
)
def test_without_keys_nobody_else_is_answered(client: FlaskClient, environ: dict[str, str]) -> None:
    problem(client.get("/orders", environ_overrides=environ), 403, "only-for-this-machine")


def test_without_keys_this_machine_is_answered(client: FlaskClient) -> None:
    for address in ("127.0.0.1", "127.8.8.8", "::1"):
        assert client.get("/orders", environ_overrides={"REMOTE_ADDR": address}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8000"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "evillocalhost"},
        {"Host": "localhost:8000@evil.example"},
        {"Host": "192.0.2.7"},
        {"Host": "[2001:db8::1]:8000"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_without_keys_no_page_of_another_site_is_answered(
    client: FlaskClient, headers: dict[str, str], sessions: sessionmaker[Session]
) -> None:
    order_id = order_after(client, "add_item")

    with nothing_stored(sessions):
        for answer in (client.get("/orders", headers=headers), send(client, "confirm_order", order_id, headers)):
            problem(answer, 403, "not-for-other-sites")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost"},
        {"Host": "LOCALHOST.:8000"},
        {"Host": "shop.localhost:8000"},
        {"Host": "127.8.8.8:8000"},
        {"Host": "[::1]:8000"},
        {"Host": "127.0.0.1:8000", "Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_without_keys_the_browsers_of_this_machine_are_answered(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.get("/orders", headers=headers).status_code == 200


def test_with_keys_every_site_and_name_is_answered(guarded: FlaskClient, keys: Keys) -> None:
    headers = {"Host": "orders.example", "Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}

    assert guarded.get("/orders", headers=headers | bearing(keys.create(*EVERY_SCOPE).text)).status_code == 200
