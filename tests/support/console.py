"""What tests of the console share."""

import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from webapp.console import PAGES
from webapp.console.page import Page

NO_WEBHOOK = "01a5e3f7-77aa-7b21-8c34-1d2e3f405162"

NEXT, PREVIOUS = re.compile(r'rel="next" href="([^"]+)"'), re.compile(r'rel="prev" href="([^"]+)"')
EVENTS = re.compile(r'<li id="event-(\d+)"')


def follow(client: FlaskClient, page: str, link: re.Pattern[str]) -> str:
    """What the page leads to by NEXT or PREVIOUS."""
    leads = link.search(page)
    assert leads is not None
    return client.get(leads[1].replace("&amp;", "&")).text


def sign_in(client: FlaskClient, text: str, **fields: str) -> TestResponse:
    return client.post("/console/sign-in", data={"key": text, "csrf_token": token(client), **fields})


def token(client: FlaskClient, path: str = "/console/sign-in") -> str:
    """Of the first form of that page that posts."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]


def addresses(app: Flask, method: str, **values: Any) -> dict[str, Page]:
    """Of every page that takes this method, with these values for what its path leaves open."""
    found, values = {}, {"webhook_id": NO_WEBHOOK, **values}
    with app.test_request_context():
        for page in PAGES:
            if method in page.methods:
                [rule] = app.url_map.iter_rules(page.endpoint)
                found[app.url_for(page.endpoint, **{name: values[name] for name in rule.arguments})] = page
    return found
