"""The benchmarks' arithmetic: turns, medians, ratios, targets and what is printed of them."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.figures import Measured, Run, in_turns, percentile
from benchmarks.keep import BEGIN, END, PAGES, keep
from benchmarks.report import as_json, as_markdown, baseline, is_worse, number
from benchmarks.rows import EXTRA_ROWS, ROW, ROWS, Row

FASTER = Row(name="faster", group="some", ours="ours", beside="theirs", unit="per s", at_least=2)
SLOWER = Row(name="slower", group="some", ours="ours <a>", beside="theirs", unit="ms", at_most=1.5)
KNOWN = Row(name="known", group="some", ours="ours", beside="theirs", unit="per s")
ALONE = Row(name="alone", group="some", ours="memory", beside="", unit="MB", at_most=200)


def runs(*values: float) -> list[Run]:
    return [Run(value, cpu_seconds=value / 10) for value in values]


def test_the_figure_is_the_median_of_the_pairs_ratios() -> None:
    measured = Measured(FASTER, ours=runs(100, 90, 10), beside=runs(50, 30, 10))

    assert measured.figures == [2, 3, 1]
    assert measured.figure == 2
    assert measured.spread == (1, 3)


def test_without_another_side_the_figure_is_our_median() -> None:
    assert Measured(ALONE, ours=runs(101, 300, 99)).figure == 101


def test_both_sides_need_as_many_runs() -> None:
    with pytest.raises(ValueError, match="zip"):
        _ = Measured(FASTER, ours=runs(1, 2), beside=runs(1)).figure


@pytest.mark.parametrize(
    ("row", "figure", "reached"),
    [(FASTER, 2.0, True), (FASTER, 1.99, False), (SLOWER, 1.5, True), (SLOWER, 1.51, False)],
)
def test_a_target_is_reached_from_its_own_side(row: Row, figure: float, reached: bool) -> None:
    assert row.reached_by(figure) is reached


def test_runs_are_taken_in_turns() -> None:
    order: list[str] = []

    taken = in_turns(lambda: order.append("A"), lambda: order.append("B"), pairs=3)

    assert order == ["A", "B", "A", "B", "A", "B"]
    assert [len(side) for side in taken] == [3, 3]


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 50), (99, 99), (100, 100)])
def test_a_percentile_is_one_of_the_values(percent: float, value: float) -> None:
    assert percentile([*range(100, 0, -1)], percent) == value


def test_the_json_is_a_flat_object_of_figures() -> None:
    measured = [Measured(FASTER, runs(2), runs(3)), Measured(ALONE, runs(101))]

    assert json.loads(as_json(measured)) == {"faster": 0.6667, "alone": 101}


def test_the_table_shows_every_row_and_names_those_that_missed() -> None:
    measured = [Measured(FASTER, runs(12_345), runs(12_345)), Measured(ALONE, runs(101))]

    table = as_markdown(measured, {"fsync": "on"}, {})

    assert "| `faster` | ours: 12,345 per s | theirs: 12,345 per s | 1 | 1 to 1 | >= 2 | **MISSED** |" in table
    assert "| `alone` | memory: 101 MB |  | 101 | 101 to 101 | <= 200 | reached |" in table
    assert "- fsync: on" in table
    assert "Missed: faster." in table
    assert "Worse" not in table


def test_a_row_without_a_target_is_neither_reached_nor_missed() -> None:
    table = as_markdown([Measured(KNOWN, runs(9), runs(3))], {}, {"known": 100})

    assert "| `known` | ours: 9 per s | theirs: 3 per s | 3 | 3 to 3 | to be known |  | 100 |" in table
    assert "Missed" not in table
    assert "Worse" not in table


@pytest.mark.parametrize(
    ("row", "was", "expected"),
    [(FASTER, 2.7, True), (FASTER, 2.6, False), (SLOWER, 1.59, True), (SLOWER, 1.61, False)],
)
def test_a_row_is_worse_when_its_median_is_by_more_than_a_quarter(row: Row, was: float, expected: bool) -> None:
    measured = Measured(row, ours=runs(1, 2, 3), beside=runs(1, 1, 1))

    assert is_worse(measured, {row.name: was}) is expected
    assert not is_worse(measured, {"another": was})
    table = as_markdown([measured], {}, {row.name: was})
    assert (f"{was}, **WORSE** |" in table) is expected
    assert (f"Worse than before: {row.name}." in table) is expected


def test_figures_that_are_kept_replace_those_in_the_page(tmp_path: Path) -> None:
    docs, begin = tmp_path / "docs", BEGIN.format(name="bench.md")
    page = docs / PAGES["bench.md"]
    page.parent.mkdir(parents=True)
    page.write_text(f"before\n{begin}old\n{END}after\n")
    (tmp_path / "bench.md").write_text("| new |\n")
    figures = {row.name: 2.5 for row in (*ROWS, *EXTRA_ROWS)}
    (tmp_path / "bench.json").write_text(json.dumps(figures))
    (tmp_path / "bench-some.svg").write_text("<svg/>\n")

    for _ in range(2):
        keep(tmp_path, docs)

    assert page.read_text() == f"before\n{begin}\n| new |\n\n{END}after\n"
    assert (docs / "charts" / "bench-some.svg").exists()
    assert baseline(docs / "bench.json") == figures
    assert baseline(tmp_path / "none.json") == {}


def test_one_group_alone_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text('{"append_vs_pgbench_c16": 0.3}\n')

    with pytest.raises(ValueError, match=r"it lacks .*, rebuild_vs_sql,"):
        keep(tmp_path, tmp_path / "docs")

    assert not (tmp_path / "docs").exists()


def test_every_page_has_a_place_for_what_is_kept(tmp_path: Path, project_root: Path) -> None:
    docs = shutil.copytree(project_root / "docs", tmp_path / "docs")
    for name in PAGES:
        (tmp_path / name).write_text(f"the {name}\n")

    keep(tmp_path, docs)

    assert all(f"the {name}\n" in (docs / page).read_text() for name, page in PAGES.items())
    (docs / PAGES["growth.md"]).write_text("no place")
    with pytest.raises(ValueError, match=r"growth\.md"):
        keep(tmp_path, docs)


@pytest.mark.parametrize(
    ("value", "text"), [(0.01234, "0.0123"), (1.5, "1.5"), (99.96, "100"), (123.4, "123"), (12345.6, "12,346")]
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_every_row_has_one_target_and_a_name_of_its_own() -> None:
    assert len(ROW) == len(ROWS)
    assert all((row.at_least is None) != (row.at_most is None) for row in ROWS)
