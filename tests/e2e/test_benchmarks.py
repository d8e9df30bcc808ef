"""Small benchmarks from end to end, on servers of their own; `make drill` runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import GROUPS
from benchmarks.rows import EXTRA_ROWS, ROWS

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]


@pytest.mark.parametrize("group", GROUPS)
def test_each_row_is_measured_and_written_down(group: str, project_root: Path, tmp_path: Path) -> None:
    """Whether the figures are any good takes longer than a test has."""
    command = [sys.executable, "-m", "benchmarks", "--only", group, "--size", "quick", "--into", str(tmp_path)]

    ran = subprocess.run(command, cwd=project_root, env=dict(os.environ), capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    figures = json.loads((tmp_path / "bench.json").read_text())
    assert figures.keys() == {row.name for row in (*ROWS, *EXTRA_ROWS) if row.group == group}
    assert all(figure > 0 for figure in figures.values())
    assert "- PostgreSQL fsync: on" in ran.stdout
    assert (tmp_path / "bench.md").read_text() in ran.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"bench-{group}.svg", "bench.json", "bench.md"]


def test_a_short_soak_loses_nothing_and_fails_nothing(project_root: Path, tmp_path: Path) -> None:
    """Whether it is flat takes longer than a test has."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.soak",
        "--minutes",
        "0.1",
        "--per-second",
        "10",
        "--into",
        str(tmp_path),
    ]

    ran = subprocess.run(command, cwd=project_root, env=dict(os.environ), capture_output=True, text=True, check=False)

    assert (tmp_path / "soak.json").exists(), ran.stderr
    found = json.loads((tmp_path / "soak.json").read_text())
    assert found["load"]["errors"] == 0, found["load"]
    assert found["load"]["events"] == found["load"]["requests"] / 2 > 0
    workers = {"worker main", "worker pool", "webhooks"}
    assert workers | {"web", "beat", "flower", "postgres", "valkey"} == found["memory"].keys()
    assert len(found["samples"]) >= 10
    assert "0 differences, 0 events lost." in ran.stdout
    assert ran.returncode == bool(found["faults"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["soak.json", "soak.md", "soak.svg"]


def test_growth_is_measured_by_what_grows(project_root: Path, tmp_path: Path) -> None:
    few = ["--most", "1000", "--workers", "1", "--calls", "2"]
    command = [sys.executable, "-m", "benchmarks.growth", *few, "--into", str(tmp_path)]

    ran = subprocess.run(command, cwd=project_root, env=dict(os.environ), capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    tables = json.loads((tmp_path / "growth.json").read_text())
    assert {name: list(table) for name, table in tables.items()} == {
        "orders": ["1000"],
        "events of one order": ["10", "100", "1000"],
        "read models": ["1", "2"],
        "workers": ["1"],
    }
    assert all(cost > 0 for table in tables.values() for costs in table.values() for cost in costs.values())
    assert "| events of one order | 10 | 100 | 1,000 |" in ran.stdout
