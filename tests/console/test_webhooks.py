"""Webhooks are created, watched, switched, given another secret, and sent to again."""

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.test import TestResponse

from tests.console.test_read_models import text_of
from tests.support.console import NO_WEBHOOK, token
from tests.support.examples import LIFE, ORDER_ID
from tests.support.read_side import run, value
from tests.support.receiver import Receiver, answer, deliver_all
from tests.support.streams import append

Sessions = sessionmaker[Session]

PAGE = "/console/webhooks"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def post(client: FlaskClient, path: str = "", **fields: str | list[str]) -> TestResponse:
    data = {"csrf_token": token(client, PAGE), **fields}
    return client.post(f"{PAGE}{path}", data=data, follow_redirects=True)


def create(client: FlaskClient, receiver: Receiver) -> str:
    """The path of its page, below PAGE."""
    assert post(client, url=receiver.url).status_code == 201
    found = re.search(rf'href="{PAGE}(/[0-9a-f-]+)"', client.get(PAGE).text)
    assert found is not None
    return found[1]


def test_one_is_created_and_its_secret_is_shown_once(client: FlaskClient, receiver: Receiver) -> None:
    assert "No webhooks yet." in client.get(PAGE).text

    created = post(client, url=receiver.url, description="<b>Shop</b>", types=["OrderShipped", "OrderPlaced", "Nope"])

    assert created.status_code == 201
    assert len(SECRET.findall(created.text)) == 1
    assert "&lt;b&gt;Shop&lt;/b&gt;" in created.text
    page = client.get(PAGE).text
    assert receiver.url in page
    assert "OrderShipped, OrderPlaced" in page
    assert "anonymous Created a webhook" in text_of(page)
    [path] = set(re.findall(rf'href="{PAGE}(/[0-9a-f-]+)"', page))
    assert not SECRET.search(page + client.get(f"{PAGE}{path}").text)


@pytest.mark.parametrize("url", ["", "shop.example", "ftp://shop.example/", "https://user:pass@shop.example/"])
def test_a_url_that_cannot_be_used_is_told_beside_the_field(client: FlaskClient, url: str) -> None:
    answer = post(client, url=url, description="kept", types=["OrderShipped"])

    assert answer.status_code == 422
    assert 'id="url-fault">Write a URL such as https://shop.example/hooks' in answer.text
    assert 'value="kept"' in answer.text
    assert 'value="OrderShipped" checked' in answer.text
    assert "No webhooks yet." in client.get(PAGE).text


def test_with_keys_it_must_be_on_the_public_internet(signed_in: FlaskClient, receiver: Receiver) -> None:
    assert post(signed_in, url=receiver.url).status_code == 422
    created = post(signed_in, url="https://shop.example/hooks")
    assert "shop Created a webhook" in text_of(created.text)


def test_another_secret_is_shown_once(client: FlaskClient, receiver: Receiver, sessions: Sessions) -> None:
    path = create(client, receiver)
    before = value(sessions, "SELECT secret FROM webhooks")

    [shown] = SECRET.findall(post(client, f"{path}/rotate").text)

    assert shown == value(sessions, "SELECT secret FROM webhooks") != before
    page = client.get(f"{PAGE}{path}").text
    assert not SECRET.search(page)
    assert "Gave a webhook another secret" in page


def test_one_is_disabled_and_enabled(client: FlaskClient, receiver: Receiver, sessions: Sessions) -> None:
    path = create(client, receiver)

    assert "Disabled a webhook" in post(client, f"{path}/disable").text
    append(sessions, LIFE)
    assert deliver_all(sessions) == 0
    assert "Enabled a webhook" in post(client, f"{path}/enable").text

    assert deliver_all(sessions) == len(LIFE)


def test_attempts_are_shown_and_one_is_sent_again(client: FlaskClient, receiver: Receiver, sessions: Sessions) -> None:
    path = create(client, receiver)
    receiver.behave = answer(200, b"<script>alert(1)</script>")
    append(sessions, LIFE)
    deliver_all(sessions)

    page = client.get(f"{PAGE}{path}").text
    assert f'href="/console/orders/{ORDER_ID}?version=5"' in page
    assert page.count('<pre tabindex="0">&lt;script&gt;alert(1)&lt;/script&gt;</pre>') == len(LIFE)
    assert "OrderShipped" in page

    told = post(client, f"{path}/redeliver", order_id=ORDER_ID, version="2")
    assert f"Sent an event again: {path[1:]}: {ORDER_ID}/2 . done" in text_of(told.text)
    assert deliver_all(sessions) == 1
    assert receiver.versions == {ORDER_ID: [1, 2, 3, 4, 5, 2]}


def test_what_is_parked_is_retried(client: FlaskClient, receiver: Receiver, sessions: Sessions) -> None:
    path = create(client, receiver)
    receiver.behave = answer(503)
    append(sessions, LIFE)
    deliver_all(sessions)
    run(sessions, "UPDATE webhook_orders SET next_attempt_at = NULL")

    page = text_of(client.get(f"{PAGE}{path}").text)
    assert f"{ORDER_ID} version 1: answered 503 ; parked" in page
    assert "parked all 1 0 1" in text_of(client.get(PAGE).text)
    receiver.behave = answer(204)
    told = text_of(post(client, f"{path}/retry").text)

    assert "Retried what a webhook had not taken: " in told
    assert deliver_all(sessions) == len(LIFE)
    assert "all sent" in client.get(PAGE).text


def test_attempts_have_pages(client: FlaskClient, receiver: Receiver, sessions: Sessions) -> None:
    path = create(client, receiver)
    for number in range(11):
        append(sessions, LIFE, order_id=f"ORDER-{number:03}")
    deliver_all(sessions)

    first = client.get(f"{PAGE}{path}").text
    [older] = re.findall(r'rel="next" href="([^"]+)"', first)
    second = client.get(older).text

    assert first.count("Send again") == 50
    assert second.count("Send again") == 5
    assert "broken" in client.get(f"{PAGE}{path}?after=x").text


@pytest.mark.parametrize(("order_id", "version"), [("NOPE", "1"), (ORDER_ID, "9"), (ORDER_ID, "x"), ("../x", "1")])
def test_no_other_event_is_sent(
    client: FlaskClient, receiver: Receiver, sessions: Sessions, order_id: str, version: str
) -> None:
    append(sessions, LIFE)
    path = create(client, receiver)

    assert post(client, f"{path}/redeliver", order_id=order_id, version=version).status_code == 404


def test_there_is_no_other_webhook(client: FlaskClient) -> None:
    path = f"/{NO_WEBHOOK}"
    assert client.get(f"{PAGE}{path}").status_code == 404
    for action in ("enable", "disable", "rotate", "redeliver", "retry"):
        assert post(client, f"{path}/{action}", order_id=ORDER_ID, version="1").status_code == 404
