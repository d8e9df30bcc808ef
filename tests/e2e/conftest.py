"""One running stack for the tests that leave it as it was."""

from collections.abc import Iterator

import pytest

from tests.support.make_run import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack") / "data 注文") as running:
        yield running
