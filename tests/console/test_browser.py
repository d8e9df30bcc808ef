"""The console in headless Chromium. The `page` fixture fails a test if the browser had anything to complain about."""

import re

from playwright.sync_api import Browser, Page, expect
from sqlalchemy.orm import Session, sessionmaker

from core.api_keys import Scope
from tests.support.browser import needs_chromium
from tests.support.calls import order_in
from tests.support.examples import LIFE, NOON, ORDER_ID
from tests.support.keys import Keys
from tests.support.read_side import project_all
from tests.support.streams import append
from tests.support.web_server import WebServer

pytestmark = needs_chromium


def address(server: WebServer, path: str = "/console") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def given_an_order(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE, occurred_at=NOON)
    project_all(sessions, ORDER_ID)


def test_an_order_is_found_and_read(server: WebServer, page: Page, sessions: sessionmaker[Session]) -> None:
    given_an_order(sessions)
    order_id = order_in(server.client, "shipped")
    project_all(sessions, order_id)

    page.goto(address(server))
    page.get_by_role("link", name="Orders", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_label("Order or customer").fill(ORDER_ID)
    page.get_by_role("button", name="Search").click()

    expect(page).to_have_url(address(server, f"/console/orders/{ORDER_ID}"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("山田太郎 · ¥10,000")
    expect(page.locator(".timeline > li")).to_have_count(5)
    expect(page.locator(".timeline time").first).to_have_text(re.compile("^1 Jan 2026, 21:00:00 (JST|GMT\\+9)$"))


def test_the_slider_moves_through_time_by_arrow_keys(
    server: WebServer, page: Page, sessions: sessionmaker[Session]
) -> None:
    given_an_order(sessions)
    page.goto(address(server, f"/console/orders/{ORDER_ID}"))

    page.get_by_role("slider").focus()
    for version in (4, 3):
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_text(f"Version {version} of 5", exact=True).first).to_be_visible()
        expect(page.locator("#said")).to_have_text(f"Version {version} of 5")
        expect(page.get_by_role("slider")).to_be_focused()

    expect(page).to_have_url(address(server, f"/console/orders/{ORDER_ID}?version=3"))
    expect(page.locator("tbody tr.changed")).to_contain_text("マウス")
    expect(page.locator(".timeline .later")).to_have_count(2)


def test_keys_lead_to_the_orders_and_their_search(server: WebServer, page: Page) -> None:
    page.goto(address(server))

    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page).to_have_url(address(server, "/console/orders"))
    page.keyboard.press("/")
    expect(page.get_by_label("Order or customer")).to_be_focused()
    page.keyboard.type("g?o/")
    expect(page.get_by_label("Order or customer")).to_have_value("g?o/")


def test_without_scripts_forms_and_links_do_it(
    server: WebServer, chromium: Browser, sessions: sessionmaker[Session]
) -> None:
    given_an_order(sessions)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()

    page.goto(address(server, f"/console/orders/{ORDER_ID}"))
    page.get_by_role("slider").press("ArrowLeft")
    page.get_by_role("button", name="Show").click()

    expect(page.get_by_text("Version 4 of 5", exact=True)).to_be_visible()
    page.get_by_role("link", name="Back to now").click()
    expect(page.get_by_text("Version 5 of 5", exact=True)).to_be_visible()
    context.close()


def test_a_key_signs_in_and_out(guarded_server: WebServer, chromium: Browser, sessions: sessionmaker[Session]) -> None:
    context = chromium.new_context(locale="ja-JP")  # the answer 401 is one that a browser complains about
    page = context.new_page()
    page.goto(address(guarded_server, "/console/orders"))
    page.get_by_label("APIキー").fill("wrong")
    page.get_by_role("button", name="サインイン").click()
    expect(page.get_by_role("alert")).to_contain_text("APIキーではありません。")

    page.get_by_label("APIキー").fill(Keys(sessions).create(Scope.ORDERS_READ, name="desk").text)
    page.get_by_role("button", name="サインイン").click()
    expect(page).to_have_url(address(guarded_server, "/console/orders"))
    expect(page.get_by_text("desk")).to_be_visible()

    page.get_by_role("button", name="サインアウト").click()
    expect(page).to_have_url(address(guarded_server, "/console/sign-in"))
    context.close()
