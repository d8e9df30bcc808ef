"""README.md and README.ja.md say the same: the same commands with the same answers, under the same headings."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
ENGLISH, JAPANESE = (ROOT / "README.md").read_text(), (ROOT / "README.ja.md").read_text()

HEADINGS = {
    "Start": "はじめに",
    "A first order": "最初の注文",
    "Retry, wait, look back": "再送・待機・過去の参照",
    "Endpoints": "エンドポイント",
    "How it works": "仕組み",
    "The essential path": "主要な経路",
    "Extending": "拡張",
    "Running it": "運用",
    "Drawbacks": "欠点",
}
# For a team that knows the Rails original; in English they stand in docs/.
JAPANESE_ALONE = {
    "特徴",
    "コマンド（書き込み）",
    "クエリ（読み取り）",
    "注文の状態",
    "データフロー",
    "保存されるイベント",
    "プロジェクト構成",
    "Rails 版との対応",
    "リードモデルの再構築",
    "Celery による非同期の投影",
    "テスト",
    "Event Sourcing と CQRS の利点",
}
HEADING = re.compile(r"^#{2,} (.+)$", re.MULTILINE)
RUN = re.compile(r"```sh\n(.*?)```(?:\n\n```json\n(.*?)```)?", re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
NAMED = re.compile(r"`((?:core|worker|webapp|migrations|examples|docs)/[\w./*]+)`")
BRANCH = re.compile(r"^((?:│   |    )*)[├└]── (\S+)", re.MULTILINE)
PATH = re.compile(r"^\| \[`([^`]+)`\]", re.MULTILINE)
TEST = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_both_have_the_same_headings_in_the_same_order() -> None:
    shared = [heading for heading in HEADING.findall(JAPANESE) if heading not in JAPANESE_ALONE]

    assert [HEADINGS[heading] for heading in HEADING.findall(ENGLISH)] == shared


def test_no_heading_is_missing_in_japanese() -> None:
    assert set(HEADING.findall(JAPANESE)) == {*HEADINGS.values(), *JAPANESE_ALONE}


def test_both_have_the_same_commands_and_answers_under_the_same_headings() -> None:
    assert commands(ENGLISH, HEADINGS.keys()) == commands(JAPANESE, HEADINGS.values())


def test_english_is_shorter_than_200_lines() -> None:
    assert len(ENGLISH.splitlines()) < 200


def test_the_sample_tests_pass() -> None:
    samples = TEST.findall(JAPANESE)
    assert len(samples) == 2
    for sample in samples:
        names: dict[str, object] = {}
        exec(compile(sample, "README.ja.md", "exec"), names)
        tests = [test for name, test in names.items() if name.startswith("test_")]
        assert len(tests) == 1
        for test in tests:
            assert callable(test)
            test()


def test_both_name_the_same_essential_path() -> None:
    english, japanese = PATH.findall(ENGLISH), PATH.findall(JAPANESE)

    assert english == japanese


def test_the_essential_path_is_read_in_an_hour() -> None:
    """At most 20 files that are there, under 2,000 lines in all; so too with the recipes of docs/extending.md."""
    files = [ROOT / path for path in PATH.findall(ENGLISH)]
    lines = {file: len(file.read_text().splitlines()) for file in files if file.is_file()}

    assert [file for file in files if file not in lines] == []
    assert 0 < len(files) <= 20
    assert sum(lines.values()) < 2000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if not link.startswith("http")]

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_file_that_the_japanese_page_names_is_there() -> None:
    named = {*NAMED.findall(JAPANESE), *tree(JAPANESE)}

    assert len(named) > 50
    assert [name for name in sorted(named) if not list(ROOT.glob(name))] == []


def tree(page: str) -> Iterator[str]:
    """The paths of the annotated tree."""
    above: list[str] = []
    for indent, name in BRANCH.findall(page):
        above[len(indent) // 4 :] = [name.rstrip("/")]
        yield "/".join(above)


def commands(page: str, headings: Iterable[str]) -> list[list[tuple[str, str]]]:
    """The commands with their answers, one list per section."""
    sections = dict(section.split("\n", 1) for section in page.split("\n## ")[1:])
    return [RUN.findall(sections[heading]) for heading in headings]


def test_every_test_that_keeps_a_promise_of_security_exists() -> None:
    promises = re.findall(r"\[(`test_[^\]]+)\]\((.+?)\)", (ROOT / "SECURITY.md").read_text())

    assert len(promises) > 10
    for names, path in promises:
        for name in re.findall(r"`(\w+)`", names):
            assert f"\ndef {name}(" in (ROOT / path).read_text(), name
