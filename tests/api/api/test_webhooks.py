"""Webhooks are managed over the API; a secret is shown once, and no URL leads to where it must not."""

import logging
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy.orm import Session, sessionmaker
from standardwebhooks.webhooks import Webhook
from werkzeug.test import TestResponse

from core.api_keys import Scope
from core.event_sourcing import feed
from core.event_sourcing.codec import EVENT_TYPES
from core.webhooks.endpoints import MOST_ENDPOINTS
from core.webhooks.sending import MOST_READ
from tests.support.calls import faults, order_after, problem, read
from tests.support.keys import Keys, bearing
from tests.support.read_side import run
from tests.support.receiver import Receiver, answer, deliver_all

URL = "https://shop.example/hooks"


def create(client: FlaskClient, **fields: Any) -> dict[str, Any]:
    created = client.post("/webhooks", json={"url": URL, **fields})
    assert created.status_code == 201, created.text
    webhook: dict[str, Any] = read(created)
    return webhook


def test_a_webhook_is_created_shown_changed_and_deleted(client: FlaskClient) -> None:
    created = client.post("/webhooks", json={"url": URL, "description": "The shop", "types": ["OrderShipped"]})
    assert created.status_code == 201
    assert created.headers["Cache-Control"] == "no-store"
    webhook = read(created)
    path = created.headers["Location"]
    assert path == f"/webhooks/{webhook['id']}"
    secret = webhook.pop("secret")
    assert secret.startswith("whsec_")
    assert (webhook["url"], webhook["types"], webhook["enabled"]) == (URL, ["OrderShipped"], True)

    assert read(client.get("/webhooks")) == {"webhooks": [webhook]}
    assert read(client.get(path)) == webhook
    assert (webhook["waiting"], webhook["failing"], webhook["parked"]) == (0, 0, 0)
    changed = read(client.patch(path, json={"enabled": False, "types": []}))
    assert (changed["enabled"], changed["types"], changed["description"]) == (False, [], "The shop")
    assert read(client.patch(path, json={})) == {**changed, "updated_at": read(client.get(path))["updated_at"]}
    assert read(client.patch(path, json={"description": ""}))["description"] == ""
    for shown in (client.get("/webhooks"), client.get(path), client.patch(path, json={"enabled": True})):
        assert secret not in shown.text

    deleted = client.delete(path)
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert read(client.get("/webhooks")) == {"webhooks": []}


@pytest.mark.parametrize("webhook_id", ["019a5e3f-77aa-7b21-8c34-1d2e3f405162", "019A5E3F-77AA-7B21-8C34-1D2E3F405162"])
def test_one_that_is_not_there_is_not_found(client: FlaskClient, webhook_id: str) -> None:
    path = f"/webhooks/{webhook_id}"
    for refused in (
        client.get(path),
        client.patch(path, json={"enabled": True}),
        client.delete(path),
        client.post(f"{path}/rotate"),
        client.get(f"{path}/deliveries"),
        client.post(f"{path}/redeliver", json={"event_id": "ORDER-001/1"}),
        client.post(f"{path}/redeliver", json={"after": feed.encode(feed.START)}),
    ):
        problem(refused, 404, "webhook-not-found")
    problem(client.get("/webhooks/1"), 404, "not-found")
    problem(client.get("/webhooks/%00"), 404, "not-found")


# URLs.

HOSTILE = {
    "http": "http://shop.example/",
    "another scheme": "ftp://shop.example/",
    "a file": "file:///etc/passwd",
    "javascript": "javascript:alert(1)",
    "no scheme": "shop.example/hooks",
    "no host": "https:///hooks",
    "empty": "",
    "a user": "https://user@shop.example/",
    "a password": "https://user:secret@shop.example/",
    "an empty user": "https://:secret@shop.example/",
    "a fragment": "https://shop.example/#here",
    "a space": "https://shop.example/a b",
    "a line end": "https://shop.example/\r\nHost: other",
    "NUL": "https://shop.example/\x00",
    "a right-to-left override": "https://shop.example/\u202e",
    "a bad port": "https://shop.example:99999/",
    "this machine": "https://127.0.0.1/",
    "this machine by name": "https://localhost/",
    "a bare name": "https://postgres/",
    "this machine in short": "https://127.1/",
    "this machine as a number": "https://2130706433/",
    "this machine in hexadecimal": "https://0x7f.0.0.1/",
    "this machine in octal": "https://0177.0.0.1/",
    "this machine in fullwidth digits": "https://１２７.0.0.1/",
    "this machine in IPv6": "https://[::1]/",
    "this machine mapped": "https://[::ffff:127.0.0.1]/",
    "a private network": "https://10.1.2.3/",
    "a unique local address": "https://[fd00:ec2::254]/",
    "metadata": "https://169.254.169.254/latest/meta-data/",
    "a multicast address": "https://224.0.0.1/",
    "translated": "https://[64:ff9b::a9fe:a9fe]/",
    "too long": f"https://shop.example/{'a' * 2000}",
    "a number": 5,
    "null": None,
    "an array": [URL],
}


@pytest.fixture
def manager(guarded_app: Flask, keys: Keys) -> FlaskClient:
    """Of a service that asks for keys, and so is none of development."""
    client = guarded_app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = bearing(keys.create(Scope.WEBHOOKS_MANAGE).text)["Authorization"]
    return client


def test_hostile_urls_are_refused(manager: FlaskClient, subtests: pytest.Subtests) -> None:
    webhook = create(manager)
    for what, url in HOSTILE.items():
        with subtests.test(what):
            assert list(faults(manager.post("/webhooks", json={"url": url}))) == ["#/url"]
            assert list(faults(manager.patch(f"/webhooks/{webhook['id']}", json={"url": url}))) == ["#/url"]
    assert [each["url"] for each in read(manager.get("/webhooks"))["webhooks"]] == [URL]


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://shop.example", "https://shop.example/"),
        ("https://SHOP.example:8443/a?b=c", "https://shop.example:8443/a?b=c"),
        ("https://注文.example/受信", "https://xn--7dv27n.example/%E5%8F%97%E4%BF%A1"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]/"),
    ],
)
def test_good_urls_are_kept_as_they_are_sent_to(manager: FlaskClient, url: str, kept: str) -> None:
    assert create(manager, url=url)["url"] == kept


def test_in_development_this_machine_is_taken_over_http(client: FlaskClient) -> None:
    assert create(client, url="http://127.0.0.1:9000/hook")["url"] == "http://127.0.0.1:9000/hook"
    assert create(client, url="http://localhost:9000/hook")["url"] == "http://localhost:9000/hook"
    for url in ("http://10.0.0.1/", "http://169.254.169.254/", "ftp://localhost/"):
        assert list(faults(client.post("/webhooks", json={"url": url}))) == ["#/url"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["#/url"]),
        ({"url": URL, "description": "a" * 10_000}, ["#/description"]),
        ({"url": URL, "description": "a\x07"}, ["#/description"]),
        ({"url": URL, "description": " "}, ["#/description"]),
        ({"url": URL, "types": ["OrderRefunded"]}, ["#/types/0"]),
        ({"url": URL, "types": ["OrderPlaced"] * (len(EVENT_TYPES) + 1)}, ["#/types"]),
        ({"url": URL, "types": "OrderPlaced"}, ["#/types"]),
        ({"url": URL, "types": [{}]}, ["#/types/0"]),
        ({"url": URL, "enabled": "yes"}, ["#/enabled"]),
        ({"url": URL, "after": "0"}, ["#/after"]),
        ({"url": URL, "after": None}, ["#/after"]),
        ({"url": URL, "secret": "whsec_AAAA"}, ["#/secret"]),
        ({"url": "ftp://a", "types": 5, "enabled": 1, "x": 1}, ["#/url", "#/types", "#/enabled", "#/x"]),
        ([], ["#"]),
    ],
)
def test_wrong_bodies_are_refused_by_name(client: FlaskClient, body: Any, pointers: list[str]) -> None:
    assert list(faults(client.post("/webhooks", json=body))) == pointers
    assert read(client.get("/webhooks")) == {"webhooks": []}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"event_id": "ORDER-001/1", "after": feed.encode(feed.START)},
        {"event_id": "ORDER-001"},
        {"event_id": "ORDER-001/0"},
        {"event_id": "ORDER-001/9999999999"},
        {"event_id": "/1"},
        {"event_id": "a\x00/1"},
        {"event_id": 1},
        {"event_id": None},
        {"after": "x"},
        {"after": 1},
    ],
)
def test_a_redelivery_names_one_event_or_a_cursor(client: FlaskClient, body: dict[str, Any]) -> None:
    faults(client.post(f"/webhooks/{create(client)['id']}/redeliver", json=body))


def test_there_are_at_most_a_hundred(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    create(client)
    columns = "url, description, types, enabled, secret, epoch, transaction_id, position"
    run(
        sessions,
        f"INSERT INTO webhooks (id, {columns}) SELECT n::text, {columns} FROM webhooks,"
        f" generate_series(2, {MOST_ENDPOINTS}) AS n",
    )
    refused = problem(client.post("/webhooks", json={"url": URL}), 409, "too-many-webhooks")
    assert "100" in refused["detail"]


# Secrets, deliveries, redeliveries.


def test_a_secret_is_shown_once_and_never_told_elsewhere(
    client: FlaskClient, sessions: sessionmaker[Session], runner: FlaskCliRunner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Receiver() as receiver:
        webhook = create(client, url=receiver.url)
        path = f"/webhooks/{webhook['id']}"
        rotated = client.post(f"{path}/rotate")
        assert rotated.headers["Cache-Control"] == "no-store"
        secrets = [webhook["secret"], read(rotated)["secret"]]
        order_after(client)
        deliver_all(sessions)

    for secret in secrets:
        Webhook(secret).verify(receiver.got[0].body, receiver.got[0].headers)
    shown = [client.get(place).text for place in (path, "/webhooks", f"{path}/deliveries")]
    shown += [
        runner.invoke(args=["webhooks", *command]).output for command in (["list", "--json"], ["show", webhook["id"]])
    ]
    for text in (*shown, caplog.text):
        assert not any(secret.removeprefix("whsec_") in text for secret in secrets)


def drop(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def test_deliveries_tell_what_was_answered(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    with Receiver() as receiver:
        path = f"/webhooks/{create(client, url=receiver.url)['id']}"
        for behave in (answer(200, b"thanks"), answer(500, b"\x00\xff" + b"a" * 5000), drop):
            receiver.behave = behave
            order_after(client)
            deliver_all(sessions)

    pages: list[dict[str, Any]] = []
    query: str | None = "limit=1"
    while query:
        page = read(client.get(f"{path}/deliveries?{query}"))
        pages += page["deliveries"]
        query = page["next_cursor"] and f"limit=1&cursor={page['next_cursor']}"
    assert pages == read(client.get(f"{path}/deliveries"))["deliveries"]
    assert [each["status"] for each in pages] == [None, 500, 200]
    assert pages[0]["error"].startswith("RemoteProtocolError: ")
    assert pages[1]["answer"] == "\ufffd\ufffd" + "a" * (MOST_READ - 2)
    assert pages[2]["answer"] == "thanks"
    assert {each["event_type"] for each in pages} == {"OrderPlaced"}
    assert read(client.get(path))["failing"] == 2
    assert list(faults(client.get(f"{path}/deliveries?cursor=x&limit=0"))) == ["#/limit", "#/cursor"]


def test_events_are_sent_again_by_id_and_from_a_cursor(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    with Receiver() as receiver:
        path = f"/webhooks/{create(client, url=receiver.url)['id']}"
        order_id = order_after(client, "add_item", "confirm_order")
        page = read(client.get("/events?limit=1"))
        deliver_all(sessions)

        again = client.post(f"{path}/redeliver", json={"event_id": receiver.got[1].event["id"]})
        assert (again.status_code, again.data) == (202, b"")
        deliver_all(sessions)
        assert receiver.versions == {order_id: [1, 2, 3, 2]}

        assert client.post(f"{path}/redeliver", json={"after": page["next_cursor"]}).status_code == 202
        deliver_all(sessions)
        assert receiver.versions == {order_id: [1, 2, 3, 2, 2, 3]}
        assert [got.event for got in receiver.got[:3]] == read(client.get("/events"))["events"]

        create(client, url=receiver.url, after=page["next_cursor"])
        deliver_all(sessions)
        assert receiver.versions == {order_id: [1, 2, 3, 2, 2, 3, 2, 3]}
    problem(client.post(f"{path}/redeliver", json={"event_id": f"{order_id}/9"}), 404, "event-not-found")


def test_an_event_that_a_webhook_does_not_want_is_not_sent_again(client: FlaskClient) -> None:
    path, order_id = f"/webhooks/{create(client, types=['OrderShipped'])['id']}", order_after(client)
    refused = client.post(f"{path}/redeliver", json={"event_id": f"{order_id}/1"})
    assert faults(refused) == {"#/event_id": "must be of a type that the webhook wants, which OrderPlaced is not"}


def test_a_cursor_of_another_log_is_refused(client: FlaskClient) -> None:
    path, order_id = f"/webhooks/{create(client)['id']}", order_after(client)
    strange = feed.encode(feed.decode(read(client.get("/events"))["next_cursor"])._replace(digest="0" * 16))

    refused: list[TestResponse] = [
        client.post("/webhooks", json={"url": URL, "after": strange}),
        client.post(f"{path}/redeliver", json={"after": strange}),
    ]
    for each in refused:
        problem(each, 410, "cursor-of-another-log")
    assert order_id


# At a terminal.


def test_flask_webhooks_lists_shows_and_retries(
    client: FlaskClient, sessions: sessionmaker[Session], runner: FlaskCliRunner
) -> None:
    def told(*command: str) -> str:
        ran = runner.invoke(args=["webhooks", *command])
        assert ran.exit_code == 0, ran.output
        return ran.output

    assert told("list") == "There is no webhook.\n"
    with Receiver(behave=answer(503)) as receiver:
        webhook = create(client, url=receiver.url, description="The shop")
        order_id = order_after(client)
        deliver_all(sessions)
        run(sessions, "UPDATE webhook_orders SET next_attempt_at = NULL")

        parked = f"webhook {webhook['id']}: 1 orders are parked; `flask webhooks retry {webhook['id']}` sends them"
        assert runner.invoke(args=["status"]).output.splitlines()[-1] == parked
        assert read(client.get("/readyz"))["checks"]["webhooks"] == parked
        assert read(client.get("/readyz"))["status"] == "degraded"
        line = f"{webhook['id']}  {receiver.url}: enabled; 1 orders wait, 0 fail, 1 are parked\n"
        assert told("list") == line
        assert '"parked": 1' in told("list", "--json")
        shown = told("show", webhook["id"])
        assert f"order {order_id} waits at version 1, parked: answered 503\n" in shown
        assert "Types: all. The shop\n" in shown
        assert f"order {order_id} version 1: 503\n" in shown
        assert told("retry", webhook["id"]) == "Orders that are tried again: 1\n"
        receiver.behave = answer(410)
        deliver_all(sessions)
        assert "disabled, because it answered 410 Gone" in told("list")
    for command in ("show", "retry"):
        ran = runner.invoke(args=["webhooks", command, "x"])
        assert ran.exit_code == 1
        assert "There is no such webhook; `flask webhooks list`" in ran.output
