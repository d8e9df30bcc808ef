"""Operating by the console in headless Chromium, with a real worker. See test_browser.py for the `page` fixture."""

from pathlib import Path

from playwright.sync_api import Browser, Page, expect
from sqlalchemy.orm import Session, sessionmaker

from local.servers import ValkeyServer
from tests.support.browser import needs_chromium
from tests.support.examples import LIFE, ORDER_ID
from tests.support.poison import mend, park
from tests.support.read_side import shown
from tests.support.rebuilding import build_gate, closed, fill
from tests.support.receiver import Receiver, deliver_all
from tests.support.streams import append
from tests.support.waiting import LONG, wait_until
from tests.support.web_server import WebServer
from tests.support.worker import Worker

pytestmark = needs_chromium

Sessions = sessionmaker[Session]


def address(server: WebServer, path: str) -> str:
    return f"http://127.0.0.1:{server.port}/console{path}"


def test_a_poison_event_is_seen_fixed_and_retried(server: WebServer, page: Page, sessions: Sessions) -> None:
    park(sessions)
    page.goto(address(server, ""))
    page.get_by_role("link", name="Read models", exact=True).click()

    row = page.get_by_role("row", name=ORDER_ID).first
    row.locator("summary").click()
    expect(row.locator("pre")).to_contain_text("Traceback")
    row.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("status").filter(has_text="Retried")).to_contain_text("failed 0 of 1")

    mend(sessions)
    page.get_by_role("button", name=f"Retry {ORDER_ID}").click()
    expect(page.get_by_role("status").filter(has_text="Retried")).to_contain_text("done 1 of 1")
    expect(page.get_by_text("None. An order is parked when")).to_be_visible()
    assert shown(sessions) == {ORDER_ID: 5}


def test_a_rebuild_is_watched_to_its_end(
    server: WebServer, page: Page, sessions: Sessions, database_url: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    fill(sessions, 3000)
    build_gate(sessions, "TRIGGER second BEFORE UPDATE ON rebuild_ranges FOR EACH ROW WHEN (NEW.number = 1)")
    page.goto(address(server, "/read-models"))
    page.get_by_role("button", name="Rebuild … summary").click()
    expect(page.get_by_role("heading", name="What a rebuild of summary would change")).to_be_visible()
    page.get_by_label("To rebuild all of it, type its name: summary").fill("summary")

    with Worker(database_url, valkey.url, tmp_path / "worker.log"):
        with closed(sessions):
            page.get_by_role("button", name="Rebuild", exact=True).click()
            expect(page.get_by_text("1 of 3 ranges of orders are made again.").first).to_be_visible(timeout=LONG * 1000)
            expect(page.locator("#said")).to_have_text("1 of 3 ranges of orders are made again.")
        rebuilt = page.get_by_role("row", name="Rebuild summary")
        expect(rebuilt).to_contain_text("3 of 3", timeout=LONG * 1000)

    expect(page.get_by_role("progressbar")).to_have_count(0)
    expect(page.get_by_role("row", name="summary").first.locator("time")).to_be_visible()
    assert len(shown(sessions)) == 3000


def test_without_scripts_a_rebuild_is_asked_for_and_cancelled(
    server: WebServer, chromium: Browser, sessions: Sessions
) -> None:
    append(sessions, LIFE)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()

    page.goto(address(server, "/read-models"))
    page.get_by_role("button", name="Rebuild … details").click()
    page.get_by_label("To rebuild all of it").fill("details")
    page.get_by_role("button", name="Rebuild", exact=True).click()
    expect(page.get_by_text("It waits for a worker.")).to_be_visible()
    page.get_by_role("link", name="Load again").click()
    page.get_by_role("button", name="Cancel").click()

    expect(page.get_by_role("row", name="Rebuild details")).to_contain_text("cancelled")
    context.close()


def test_a_webhook_is_created_rotated_and_redelivered(server: WebServer, page: Page, sessions: Sessions) -> None:
    with Receiver() as receiver:
        page.goto(address(server, "/webhooks"))
        page.get_by_label("URL").fill(receiver.url)
        page.get_by_label("OrderShipped").check()
        page.get_by_role("button", name="Create", exact=True).click()
        first = page.locator("#secret").text_content()
        page.get_by_role("button", name="Make another secret").click()
        expect(page.locator("#secret")).to_contain_text("whsec_")
        assert page.locator("#secret").text_content() != first

        append(sessions, LIFE)
        wait_until(lambda: deliver_all(sessions) == 1)
        page.get_by_role("link", name="Webhooks", exact=True).click()
        page.get_by_role("link", name=receiver.url).click()
        expect(page.locator("#secret")).to_have_count(0)
        page.get_by_role("button", name=f"Send again {ORDER_ID}/5").click()
        expect(page.get_by_role("status").filter(has_text="Sent an event again")).to_contain_text("done")
        wait_until(lambda: deliver_all(sessions) == 1)

        assert receiver.versions == {ORDER_ID: [5, 5]}
