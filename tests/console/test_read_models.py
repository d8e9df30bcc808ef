"""How far the read models are, what is parked, verifying, and a rebuild up to its request."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.test import TestResponse

from core.api_keys import Scope
from core.projection.catch_up import catch_up
from core.projection.rebuild_requests import work_on
from core.read_models.wiring import PROJECTORS
from core.settings import Patience
from tests.support.console import sign_in, token
from tests.support.damage import shipped
from tests.support.examples import LIFE, ORDER_ID
from tests.support.failing import AT_ONCE
from tests.support.keys import Keys
from tests.support.poison import mend, park
from tests.support.read_side import place_many, run, shown, value
from tests.support.streams import append

Sessions = sessionmaker[Session]

PAGE = "/console/read-models"
SUMMARY = "order_summary_read_models"


def text_of(html: str) -> str:
    """What people read of the page, without what is between the words."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def post(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    data = {"csrf_token": token(client, PAGE), **fields}
    return client.post(f"{PAGE}{path}", data=data, follow_redirects=True)


def actions(client: FlaskClient) -> str:
    return text_of(client.get(PAGE).text.partition('id="actions"')[2].partition("</section>")[0])


def test_each_read_model_is_told_of(client: FlaskClient, sessions: Sessions) -> None:
    assert text_of(client.get(PAGE).text).count("never caught up") == len(PROJECTORS)

    shipped(sessions, ORDER_ID)
    page = text_of(client.get(PAGE).text)

    for name in PROJECTORS:
        assert f"{name} up to date 5 0 0 ms 0 0 not known" in page
    append(sessions, LIFE, order_id="ORDER-002")
    assert "summary behind 5 5" in text_of(client.get(PAGE).text)


def test_a_parked_order_is_seen_mended_and_retried(signed_in: FlaskClient, sessions: Sessions) -> None:
    park(sessions)

    page = signed_in.get(PAGE).text
    assert f'href="/console/orders/{ORDER_ID}"' in page
    assert "CheckViolation" in text_of(page)
    assert "山田太郎" not in page

    told = text_of(post(signed_in, "/retry", name="summary", order_id=ORDER_ID).text)
    assert f"Retried a parked order: summary: {ORDER_ID} . failed 0 of 1 CheckViolation" in told
    mend(sessions)
    told = text_of(post(signed_in, "/retry", name="summary", order_id=ORDER_ID).text)
    assert f"Retried a parked order: summary: {ORDER_ID} . done 1 of 1" in told

    assert "None. An order is parked when" in told
    assert shown(sessions) == {ORDER_ID: 5}
    assert actions(signed_in).count("shop Retried a parked order") == 2


def test_all_parked_orders_are_left_to_the_workers(client: FlaskClient, sessions: Sessions) -> None:
    ids = [f"ORDER-{number}" for number in range(3)]
    park(sessions, *ids)
    mend(sessions)

    told = text_of(post(client, "/retry-all").text)
    assert "Let the workers retry all parked orders: summary, details . done 3" in told
    catch_up(sessions, "summary", PROJECTORS["summary"], AT_ONCE)

    assert shown(sessions) == dict.fromkeys(ids, 5)
    assert "None. An order is parked when" in text_of(client.get(PAGE).text)


def test_verify_says_what_differs(signed_in: FlaskClient, sessions: Sessions) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002")
    told = text_of(post(signed_in, "/verify", name="summary").text)
    assert "Is summary right? no difference 2 rows were compared with their events. These are all of its rows." in told
    run(sessions, f"UPDATE {SUMMARY} SET customer_name = '<b>wrong</b>' WHERE order_id = '{ORDER_ID}'")

    html = post(signed_in, "/verify", name="summary").text

    assert "&lt;b&gt;wrong&lt;/b&gt;" in html
    assert f"{ORDER_ID} customer_name &lt;b&gt;wrong&lt;/b&gt; 山田太郎" in text_of(html)
    assert "shop Verified summary differences found 1 of 2" in actions(signed_in)
    assert "no difference" in post(signed_in, "/verify", name="details").text


def test_of_many_orders_a_sample_is_compared(client: FlaskClient, sessions: Sessions) -> None:
    place_many(sessions, 1100)

    told = text_of(post(client, "/verify", name="summary").text)

    assert "This was a sample. flask verify summary compares everything." in told
    assert re.search(r"Ranges of orders that were looked at: \d+ FILL-\d+ …", told)


def test_a_rebuild_needs_a_dry_run_and_its_name_typed(signed_in: FlaskClient, sessions: Sessions) -> None:
    shipped(sessions, ORDER_ID)
    run(sessions, f"UPDATE {SUMMARY} SET status = 'pending'")

    told = post(signed_in, "/dry-run", name="summary")
    assert f"{ORDER_ID} status pending shipped" in text_of(told.text)
    assert shown(sessions) == {ORDER_ID: 5}
    assert "shop Looked what a rebuild would change summary differences found 0 of 1" in actions(signed_in)

    for typed in ("", "details", "Summary"):
        refused = post(signed_in, "/rebuild", name="summary", confirm=typed)
        assert refused.status_code == 422
        assert "Type the read model&#39;s name: summary." in refused.text
    assert "Rebuild summary" not in actions(signed_in)

    asked = text_of(post(signed_in, "/rebuild", name="summary", confirm="summary").text)
    assert "Rebuild of summary It waits for a worker." in asked
    work_on(sessions, "summary", PROJECTORS["summary"], Patience(), seconds=10)

    assert "shop Rebuild summary done 1 of 1" in actions(signed_in)
    assert value(sessions, f"SELECT status FROM {SUMMARY}") == "shipped"
    page = signed_in.get(PAGE).text
    assert "<progress" not in page
    assert text_of(page).count("not known") == 1


def test_a_rebuild_is_cancelled(client: FlaskClient, sessions: Sessions) -> None:
    post(client, "/rebuild", name="details", confirm="details")
    assert "It waits for a worker." in client.get(PAGE).text

    post(client, "/cancel", name="details")

    assert "Rebuild details cancelled" in actions(client)
    assert "It waits for a worker." not in client.get(PAGE).text


@pytest.mark.parametrize("path", ["/retry", "/verify", "/dry-run", "/rebuild", "/cancel"])
def test_there_is_no_other_read_model(client: FlaskClient, path: str) -> None:
    assert post(client, path, name="events").status_code == 404


def test_a_key_that_only_reads_sees_no_buttons_and_may_not(guarded_app: Flask, keys: Keys, sessions: Sessions) -> None:
    park(sessions)
    reader = guarded_app.test_client()
    sign_in(reader, keys.create(Scope.ORDERS_READ).text)

    page = reader.get(PAGE).text

    assert "CheckViolation" in page
    assert "read-models/" not in page
    answer = post(reader, "/retry", name="summary", order_id=ORDER_ID)
    assert answer.status_code == 403
    assert "Your key has not the scope console:operate" in answer.text
