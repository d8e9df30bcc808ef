"""Every text of the pages is in both languages, and what is compiled is what is written."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.mofile import read_mo

from webapp.console.__main__ import FOLDER, MO, PO, brought_up_to_date, catalogue, po_text, untranslated

TEMPLATES = sorted((FOLDER / "templates").rglob("*.html"))
READ = {"alt", "aria-label", "placeholder", "title", "value"}
NAMES = {"Orderlog", "API", "UTC", "g", "h", "o", "e"}  # in both languages


class Texts(HTMLParser):
    """What of a template people read, without what Jinja puts in."""

    def __init__(self, template: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", " ", template, flags=re.DOTALL))

    def handle_data(self, data: str) -> None:
        self.found += re.findall(r"[^\W\d_]+", data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in READ:
                self.handle_data(value or "")


def test_the_catalogue_has_what_the_pages_say_and_nothing_else() -> None:
    assert PO.read_bytes() == po_text(brought_up_to_date()), "run `make translations`"


def test_nothing_is_untranslated() -> None:
    assert untranslated(catalogue()) == []


def test_what_is_compiled_is_what_is_written() -> None:
    with MO.open("rb") as file:
        compiled = read_mo(file)

    assert texts(compiled) == texts(catalogue()), "run `make translations`"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_says_anything_past_the_catalogue(template: Path) -> None:
    assert set(Texts(template.read_text()).found) - NAMES == set()


def test_the_module_says_nothing_itself() -> None:
    """Texts that it needs come with the page."""
    code = re.sub(r"//.*", "", (FOLDER / "assets" / "console.js").read_text())

    assert [text for text in re.findall(r'"([^"]*)"', code) if re.search(r"[A-Z]?[a-z]+ [a-z]+ ", text)] == []


def texts(messages: Catalog) -> dict[str, str]:
    return {str(message.id): str(message.string) for message in messages if message.id}
