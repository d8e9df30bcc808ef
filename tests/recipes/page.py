"""docs/extending.md, read as the steps that it tells its reader to take."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEADING = re.compile(r"^## (.+)\n", re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"`([\w./-]+\.\w+)`:\n\n\Z")  # the end of the text before the content of a new file


@dataclass(frozen=True, slots=True)
class NewFile:
    """A block of code right after the file's name and a colon."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Diff:
    text: str


@dataclass(frozen=True, slots=True)
class Commands:
    """A block of shell commands, one a line."""

    lines: list[str]


Step = NewFile | Diff | Commands


def sections(page: Path) -> dict[str, list[Step]]:
    """The steps under each heading of the second level, in the order of the page."""
    _, *parts = HEADING.split(page.read_text())
    return {title: list(_steps(text)) for title, text in zip(parts[::2], parts[1::2], strict=True)}


def _steps(text: str) -> Iterator[Step]:
    for block in BLOCK.finditer(text):
        kind, content = block.groups()
        named = FILE_NAME.search(text, 0, block.start())
        if kind == "diff":
            yield Diff(content)
        elif kind == "sh":
            yield Commands(content.splitlines())
        elif named:
            yield NewFile(named.group(1), content)
        else:
            raise ValueError(f"a block of {kind} that is neither a diff, nor commands, nor a named file: {content}")
