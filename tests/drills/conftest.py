"""BreakableServers that all drills share: each drill has a database of its own, and an empty broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.breakable_servers import BreakableServers
from tests.drills.drill import FULL, reports
from tests.drills.report import HEADINGS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FULL:
        terminalreporter.section("drills")
        terminalreporter.write_line(HEADINGS)
        terminalreporter.write_line("|---" * HEADINGS.count(" |") + "|")
        for report in reports:
            terminalreporter.write_line(report.row)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BreakableServers]:
    with BreakableServers(tmp_path_factory.mktemp("drills")) as running:
        yield running


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"
