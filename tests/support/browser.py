"""A headless Chromium that is on the machine, and what it complains about."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from tests.support.waiting import LONG

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is on this machine: apt-get install chromium")

expect.set_options(timeout=LONG * 1000)  # milliseconds

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Nothing in this thread may run an event loop meanwhile: Playwright does."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def listen(page: Page) -> list[str]:
    """Collects from now on what the page's scripts throw and what the browser refuses, breaches of the CSP included.

    A live page that is left gives up the request that it is waiting for; that is no complaint."""
    complaints: list[str] = []

    def note(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":
            complaints.append(f"{request.url}: {request.failure}")

    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda it: complaints.append(f"{it.location}: {it.text}") if it.type == "error" else None)
    page.on("requestfailed", note)
    return complaints
