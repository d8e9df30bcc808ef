"""The pages about the API need nothing from elsewhere, and run nothing that is not ours."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
import simplejson
from flask import Flask, template_rendered
from flask.testing import FlaskClient
from jinja2 import Template
from werkzeug.test import TestResponse

from webapp.operations import OPERATIONS
from webapp.problems.catalogue import PROBLEMS

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PAGES = ["/", "/docs", *(f"/problems/{slug}" for slug in PROBLEMS)]


class Page(HTMLParser):
    """What a page refers to, and what of it a strict policy would not run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.assets: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = {name: value or "" for name, value in attrs}
        self.attributes |= given.keys()
        self.ids |= {given["id"]} if "id" in given else set()
        target = given.get("href") or given.get("src")
        if target:
            (self.links if tag == "a" else self.assets).append(target)


def open_page(client: FlaskClient, path: str) -> tuple[TestResponse, Page]:
    answer = client.get(path, headers=BROWSER)
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    return answer, Page(answer.text)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_a_strict_policy_and_needs_no_exception_from_it(client: FlaskClient, path: str) -> None:
    answer, page = open_page(client, path)

    policy = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
    assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not page.tags & {"style", "script", "iframe", "img"}
    assert not [name for name in page.attributes if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("path", PAGES)
def test_whatever_a_page_refers_to_is_here(client: FlaskClient, path: str) -> None:
    _, page = open_page(client, path)

    assert page.assets == ["/docs/page.css"]
    for link in {*page.links, *page.assets}:
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert re.match(r"/(?!/)", link), link
            assert client.get(link).status_code == 200, link


def test_assets_lead_nowhere_else(client: FlaskClient) -> None:
    sheet = client.get("/docs/page.css")

    assert sheet.content_type == "text/css; charset=utf-8"
    assert not re.search(r"https?:|//|url\(|@import", sheet.text)


def test_columns_of_tables_keep_words_whole(client: FlaskClient) -> None:
    """Wide screens have room for the longest; `anywhere` lets the browser take columns for as narrow as a letter."""
    wide = client.get("/docs/page.css").text.split("@media (max-width")[0]

    assert "anywhere" not in wide


def test_the_start_leads_browsers_to_the_docs(client: FlaskClient) -> None:
    answer, page = open_page(client, "/")

    assert {"/docs", "/openapi.json", "/readyz"} <= set(page.links)
    assert "curl http://localhost/orders" in answer.text
    assert answer.headers["Vary"] == "Accept"


def test_the_start_links_programs_to_what_they_can_get(client: FlaskClient) -> None:
    expected = {"list_orders": "/orders", "show_docs": "/docs", "show_contract": "/openapi.json"}
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        links = client.get("/", headers=headers).get_json()["links"]
        assert expected.items() <= links.items()
        assert {client.get(path).status_code for path in links.values()} == {200}


def test_the_page_shows_every_operation(client: FlaskClient) -> None:
    _, page = open_page(client, "/docs")

    assert {operation.name for operation in OPERATIONS} <= page.ids


def test_a_problem_is_explained_to_browsers_and_others_alike(client: FlaskClient) -> None:
    for slug, problem in PROBLEMS.items():
        html = client.get(f"/problems/{slug}", headers=BROWSER)
        text = client.get(f"/problems/{slug}")
        assert text.content_type == "text/plain; charset=utf-8"
        assert {html.headers["Vary"], text.headers["Vary"]} == {"Accept"}
        for said in (problem.title, str(problem.status), problem.meaning, problem.what_to_do):
            assert said in text.text
            assert said.replace("'", "&#39;").replace("<", "&lt;").replace(">", "&gt;") in html.text
        assert simplejson.loads(text.text.split("Example:\n")[1], use_decimal=True) == problem.document(problem.example)


def test_an_unknown_problem_has_no_page(client: FlaskClient) -> None:
    assert client.get("/problems/nothing", headers=BROWSER).status_code == 404


def test_the_contract_is_written_once_for_all_who_ask(client: FlaskClient) -> None:
    rendered: list[str | None] = []

    def note(_: Flask, template: Template, **__: Any) -> None:
        rendered.append(template.name)

    with template_rendered.connected_to(note):
        answers = [client.get("/docs").data for _ in range(10)]

    assert set(answers) == {answers[0]}
    assert len(rendered) <= 1  # a test before this may have asked
