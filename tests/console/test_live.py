"""Pages that stay fresh by themselves, in headless Chromium: the overview, the log, and a lost connection."""

import re

from playwright.sync_api import Browser, Page, expect
from sqlalchemy.orm import Session, sessionmaker

from tests.console.test_browser import address
from tests.support.browser import needs_chromium
from tests.support.calls import place
from tests.support.examples import LIFE, NOON, ORDER_ID
from tests.support.read_side import project_all
from tests.support.streams import append
from tests.support.web_server import WebServer

pytestmark = needs_chromium


def test_the_overview_shows_what_comes_and_leaves_open_what_is_open(
    server: WebServer, page: Page, sessions: sessionmaker[Session]
) -> None:
    page.goto(address(server))
    expect(page.locator(".figure").first).to_contain_text("0")
    page.locator("#hours-table summary").click()

    order_id = place(server.client)
    project_all(sessions, order_id)

    expect(page.locator(".figure").first).to_contain_text(re.compile("1\\s*All orders"))
    expect(page.locator("#hours-table tbody tr").first).to_be_visible()
    expect(page.locator("#hours-table summary")).to_be_focused()
    expect(page.locator("#hours-table time").first).to_have_text(re.compile("(JST|GMT\\+9)$"))
    expect(page.locator("#hours rect, .chart rect").first).to_be_attached()


def test_the_log_grows_until_it_is_paused(server: WebServer, page: Page, sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE, occurred_at=NOON)
    page.goto(address(server, "/console/events"))
    page.locator("#json-5 summary").click()

    place(server.client)
    expect(page.locator(".log > li")).to_have_count(6)
    expect(page.locator(".log > li").first).to_contain_text("Order placed for")
    expect(page.locator("#json-5 pre")).to_be_visible()

    pause = page.get_by_role("button", name="Pause")
    pause.click()
    expect(pause).to_have_attribute("aria-pressed", "true")
    place(server.client)
    with page.expect_response(re.compile("/console/events")):  # the first look after the pause
        pause.click()
    expect(page.locator(".log > li")).to_have_count(7)


def test_a_lost_connection_is_told_and_mended(
    server: WebServer, chromium: Browser, sessions: sessionmaker[Session]
) -> None:
    context = chromium.new_context()  # without the page fixture: a browser complains about what it cannot reach
    page = context.new_page()
    page.goto(address(server))
    expect(page.get_by_role("alert")).to_be_hidden()

    context.set_offline(True)
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer.")
    append(sessions, LIFE)
    project_all(sessions, ORDER_ID)
    context.set_offline(False)

    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator(".figure").first).to_contain_text(re.compile("1\\s*All orders"))
    context.close()


def test_without_scripts_the_log_is_a_page(
    server: WebServer, chromium: Browser, sessions: sessionmaker[Session]
) -> None:
    append(sessions, LIFE)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()

    page.goto(address(server, "/console/events"))
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    page.get_by_label("Type").select_option("OrderShipped")
    page.get_by_role("button", name="Search").click()

    expect(page.locator(".log > li")).to_have_count(1)
    page.locator(".log summary").click()
    expect(page.locator("pre")).to_contain_text('"event_type": "OrderShipped"')
    context.close()
