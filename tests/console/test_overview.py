"""The overview: figures, charts with a table behind them, lag, parts and durability; the pill on every page."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy.orm import Session, sessionmaker

from core.api_keys import Scope
from core.orders.events import OrderPlaced, OrderShipped
from local.servers import ValkeyServer
from tests.conftest import make_app
from tests.support.console import sign_in
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, ORDER_ID, PLACED
from tests.support.keys import Keys
from tests.support.read_side import append_placed, project_all, run, store
from tests.support.streams import append

Sessions = sessionmaker[Session]

NOW = datetime.now(UTC)


def given_shipped(sessions: Sessions, order_id: str = ORDER_ID) -> None:
    placed = OrderPlaced(order_id=order_id, customer_name="山田太郎", total_amount=PLACED.total_amount, placed_at=NOW)
    shipped = OrderShipped(order_id=order_id, tracking_number="T", shipped_at=NOW)
    append(sessions, [placed, LAPTOP_ADDED, CONFIRMED, shipped], order_id=order_id)
    project_all(sessions, order_id)


def words(page: str) -> str:
    """What people read of it, in one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_figures_and_charts_say_what_there_is(client: FlaskClient, sessions: Sessions) -> None:
    given_shipped(sessions)
    given_shipped(sessions, "ORDER-002")
    append_placed(sessions, "ORDER-003")  # of long ago
    project_all(sessions, "ORDER-003")

    page = client.get("/console").text

    for figure in ("3 All orders", "1 pending", "0 confirmed, to be shipped", "2 shipped", "¥20,000 revenue"):
        assert figure in words(page)
    assert len(re.findall("<svg", page)) == 2
    assert re.search("Orders per hour · at most 2", words(page))
    assert re.search("Revenue per day · at most ¥20,000", words(page))
    hour = NOW.replace(minute=0, second=0, microsecond=0).isoformat().replace("+00:00", "Z")
    assert re.search(rf'datetime="{hour}">[^<]+</time></td><td class="n">2</td>', page)
    assert len(re.findall("<tr><td>", page)) == 24 + 30


def test_without_orders_it_is_calm_and_full_of_zeros(client: FlaskClient) -> None:
    page = client.get("/console")

    assert page.status_code == 200
    assert "0 All orders" in words(page.text)
    assert "<rect" not in page.text


def test_the_pill_of_every_page_says_whether_the_read_side_keeps_up(
    client: FlaskClient, sessions: Sessions, runner: FlaskCliRunner
) -> None:
    assert "Catch-up is silent" in client.get("/console/orders").text
    for path in ("/console", "/console/orders", "/console/events"):
        runner.invoke(args=["catch-up"])
        assert "Read side up to date" in client.get(path).text

    append(sessions, [PLACED], occurred_at=NOW - timedelta(minutes=1))
    assert "Events not yet shown: 1" in client.get("/console/orders").text
    page = words(client.get("/console").text)
    assert re.search(r"summary catching up 1 [\d.]+ 0 0", page)

    runner.invoke(args=["catch-up"])
    assert "Read side up to date" in client.get("/console/orders").text
    assert "Read side" not in client.get("/console/nowhere").text


def test_parked_orders_are_counted(app: Flask, sessions: Sessions) -> None:
    app.config["PATIENCE"] = type(app.config["PATIENCE"])(attempts=1, first_pause=1, longest_pause=1)
    store(sessions, ORDER_ID, 1, "OrderLost")
    app.test_cli_runner().invoke(args=["catch-up"])

    page = app.test_client().get("/console").text

    assert "Parked orders: 2" in words(page)
    assert "summary orders are parked" in words(page)


def test_parts_are_up_or_down_with_what_to_do(
    client: FlaskClient, sessions: Sessions, runner: FlaskCliRunner, database_url: str
) -> None:
    page = words(client.get("/console").text)
    assert "Database up" in page
    assert "Broker (Redis) up" in page
    assert "Workers and Beat down New events are shown late or not at all. See that Beat and a worker run." in page

    runner.invoke(args=["catch-up"])
    assert "Workers and Beat up" in words(client.get("/console").text)

    broken = make_app(database_url, "redis://127.0.0.1:1/0").test_client()
    assert "Broker (Redis) down Commands go on." in words(broken.get("/console").text)


def test_durability_is_told_in_plain_words(client: FlaskClient, database_url: str, valkey: ValkeyServer) -> None:
    page = client.get("/console").text
    if "at risk" in page:  # the tests' own server may trade safety for speed
        assert "is off in PostgreSQL." in page
    else:
        assert "A command is answered only when its events are on the disk." in page


def test_a_setting_that_is_off_is_told(app: Flask, sessions: Sessions, database_url: str) -> None:
    name = database_url.rsplit("/", 1)[1].partition("?")[0]
    run(sessions, f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()

    page = words(app.test_client().get("/console?lang=en").text)

    assert "A crash may lose commands that were acknowledged. synchronous_commit is off in PostgreSQL." in page
    assert "Durability at risk" in page


@pytest.mark.parametrize("language", ["en", "ja"])
def test_figures_are_for_those_who_may_read_orders(guarded_app: Flask, keys: Keys, language: str) -> None:
    for scope, shown in ((Scope.ORDERS_READ, True), (Scope.WEBHOOKS_MANAGE, False)):
        reader = guarded_app.test_client()
        sign_in(reader, keys.create(scope).text)
        page = reader.get(f"/console?lang={language}").text
        assert ("<svg" in page) == shown
        assert 'id="lag"' in page
