"""What holds for every page: its headers, its languages, its errors, its assets."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.orders.events import OrderCancelled, OrderItemAdded, OrderPlaced, OrderShipped
from local.servers import ValkeyServer
from tests.conftest import make_app
from tests.support.console import addresses
from tests.support.examples import LIFE, NOON, ORDER_ID
from tests.support.read_side import project_all
from tests.support.streams import append
from webapp.console import HEADERS, assets
from webapp.console.words import gap, money

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"


class Tags(HTMLParser):
    """Every tag of a page, with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def test_every_page_has_the_strict_policy_and_needs_no_exception(
    app: Flask, client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    append(sessions, LIFE)
    project_all(sessions, ORDER_ID)
    for path in addresses(app, "GET", order_id=ORDER_ID, path="nowhere"):
        answer = client.get(path)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, path
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        for tag, attributes in Tags(answer.text).found:
            assert tag != "style"
            assert not [name for name in attributes if name == "style" or name.startswith("on")]
            assert tag != "script" or attributes["src"].startswith("/console/assets/")
            for target in (attributes.get("href", ""), attributes.get("src", ""), attributes.get("action", "")):
                assert re.match(r"$|#|/(?!/)", target), target


def test_hostile_texts_are_shown_as_text(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    placed = OrderPlaced(order_id=ORDER_ID, customer_name=HOSTILE, total_amount=Decimal("1.00"), placed_at=NOON)
    added = OrderItemAdded(
        order_id=ORDER_ID, product_name=HOSTILE, quantity=1, unit_price=Decimal("1.00"), added_at=NOON
    )
    cancelled = OrderCancelled(order_id=ORDER_ID, reason=HOSTILE, cancelled_at=NOON)
    shipped = OrderShipped(order_id="ORDER-002", tracking_number=HOSTILE, shipped_at=NOON)
    append(sessions, [placed, added, cancelled])
    append(sessions, [placed, shipped], order_id="ORDER-002")
    project_all(sessions, ORDER_ID, "ORDER-002")

    for path in ("/console/orders", f"/console/orders/{ORDER_ID}", "/console/orders/ORDER-002"):
        for language in ("en", "ja"):
            page = client.get(f"{path}?lang={language}").text
            assert "&lt;script&gt;alert(1)" in page
            assert "alert(1)</script" not in page
            assert not [tag for tag, _ in Tags(page).found if tag == "img"]
            assert "{{7*7}}" in page
    assert "alert(1)</script" not in client.get("/console/orders", query_string={"q": HOSTILE}).text


def test_the_language_is_what_the_browser_asks_for_or_the_switch_says(client: FlaskClient) -> None:
    japanese = {"Accept-Language": "ja-JP,ja;q=0.9,en;q=0.8"}
    assert '<html lang="en">' in client.get("/console").text
    assert '<html lang="ja">' in client.get("/console", headers=japanese).text
    assert '<html lang="en">' in client.get("/console", headers={"Accept-Language": "fr, *;q=0.1"}).text

    switched = client.get("/console/orders?status=shipped&lang=en", headers=japanese)
    assert '<html lang="en">' in switched.text
    assert 'href="/console/orders?status=shipped&amp;lang=ja"' in switched.text
    assert '<html lang="en">' in client.get("/console", headers=japanese).text, "it is kept"
    assert '<html lang="en">' in client.get("/console?lang=xx", headers=japanese).text


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/console/nowhere", 404, "There is no page with this address."),
        ("/console/orders/NOPE", 404, "There is no order with this id."),
        (f"/console/orders/{ORDER_ID}?version=9", 404, "The order&#39;s latest version is 5."),
        (f"/console/orders/{ORDER_ID}?version=x", 404, "The order&#39;s latest version is 5."),
    ],
)
def test_errors_are_pages(
    client: FlaskClient, sessions: sessionmaker[Session], path: str, status: int, said: str
) -> None:
    append(sessions, LIFE)

    answer = client.get(path)

    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert said in answer.text


def test_an_unexpected_error_is_a_page_that_tells_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise KeyError("/etc/secret")

    monkeypatch.setitem(app.view_functions, "console.show_orders", fail)
    answer = app.test_client().get("/console/orders")

    assert (answer.status_code, answer.mimetype) == (500, "text/html")
    assert "Something went wrong" in answer.text
    assert "secret" not in answer.text
    assert answer.headers["X-Request-Id"] in answer.text


def test_a_limit_that_is_reached_is_a_page(database_url: str, valkey: ValkeyServer) -> None:
    client = make_app(database_url, valkey.url, RATE_LIMIT="2/hour").test_client()

    answers = [client.get("/console/orders") for _ in range(3)]

    assert answers[-1].status_code == 429
    assert "Too many requests" in answers[-1].text
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_assets_are_small_and_kept_for_ever_under_their_hash(client: FlaskClient) -> None:
    assert sum(map(len, assets.CONTENTS.values())) < 60_000
    assert len(assets.CONTENTS["console.css"]) < 20_000
    assert len(assets.CONTENTS["console.js"]) < 15_000
    for tag, attributes in Tags(client.get("/console").text).found:
        if tag in ("link", "script"):
            answer = client.get(attributes.get("href") or attributes["src"])
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert client.get("/console/assets/0123456789abcdef/console.css").status_code == 404
    assert client.get(f"/console/assets/{assets.DIGESTS['console.css']}/console.js").status_code == 404


def test_assets_name_no_other_address() -> None:
    for name, content in assets.CONTENTS.items():
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|url\(|@import", text), name


@pytest.mark.parametrize(
    ("currency", "language", "value", "written"),
    [
        ("JPY", "en", "83000.00", "¥83,000"),
        ("JPY", "en", "99.50", "¥99.50"),
        ("JPY", "ja", "83000.00", "￥83,000"),
        ("EUR", "en", "83000.00", "€83,000.00"),
    ],
)
def test_amounts_are_in_the_currency_of_the_setting(
    app: Flask, currency: str, language: str, value: str, written: str
) -> None:
    app.config["CURRENCY"] = currency
    with app.test_request_context(f"/console?lang={language}"):
        assert money(Decimal(value)) == f'<span class="money">{written}</span>'


def test_gaps_are_the_two_largest_units(app: Flask) -> None:
    with app.test_request_context("/console?lang=en"):
        assert gap(timedelta(milliseconds=18)) == "18 ms"
        assert gap(timedelta(0)) == "0 ms"
        assert gap(timedelta(seconds=38, milliseconds=5)) == "38 sec"
        assert gap(timedelta(hours=2, minutes=17, seconds=9)) == "2 hr 17 min"
        assert gap(timedelta(days=3, seconds=4)) == "3 days"
        assert gap(timedelta(seconds=-1)) == "0 ms"


def test_times_are_in_utc_until_the_module_writes_them_anew(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    append(sessions, LIFE, occurred_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    page = client.get(f"/console/orders/{ORDER_ID}").text

    assert re.search(r'<time datetime="2026-01-02T03:04:05Z">[^<]+ UTC</time>', page)
