"""`make translations`: bring the catalogue of messages up to the pages, and compile it."""

import sys
from io import BytesIO
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

FOLDER = Path(__file__).parent
PO = FOLDER / "translations" / "ja" / "LC_MESSAGES" / "messages.po"
MO = PO.with_suffix(".mo")
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2)}


HEADER = rb"""msgid ""
msgstr ""
"Language: ja\n"
"Content-Type: text/plain; charset=utf-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: nplurals=1; plural=0;\n"

"""


def catalogue() -> Catalog:
    """What the .po file has."""
    with PO.open("rb") as file:
        return read_po(file, locale="ja")


def brought_up_to_date() -> Catalog:
    """The same, with every message of the pages and no other."""
    found = Catalog()
    for _, _, message, _, context in extract_from_dir(FOLDER, METHODS, keywords=KEYWORDS):
        found.add(message, context=context)
    current = catalogue()
    current.update(found, no_fuzzy_matching=True)
    current.obsolete.clear()
    return current


def po_text(messages: Catalog) -> bytes:
    """Sorted and without line numbers, so that two people who add pages seldom meet in it."""
    file = BytesIO()
    write_po(file, messages, width=120, omit_header=True, no_location=True, sort_output=True, ignore_obsolete=True)
    return HEADER + file.getvalue().lstrip()


def mo_bytes(messages: Catalog) -> bytes:
    file = BytesIO()
    write_mo(file, messages)
    return file.getvalue()


def untranslated(messages: Catalog) -> list[str]:
    return [str(message.id) for message in messages if message.id and (not message.string or message.fuzzy)]


if __name__ == "__main__":
    messages = brought_up_to_date()
    PO.write_bytes(po_text(messages))
    MO.write_bytes(mo_bytes(messages))
    if missing := untranslated(messages):
        sys.exit("\n".join([f"{PO} lacks a translation of:", *missing]))
