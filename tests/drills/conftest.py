"""Servers that all drills share: each drill has a database of its own, and an empty broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.servers import Servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("drills")) as running:
        yield running


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"
