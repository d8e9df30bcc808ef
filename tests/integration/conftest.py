"""What integration tests need beyond the servers."""

import pytest

from core.read_models.wiring import PROJECTORS, SUMS


@pytest.fixture
def two_read_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the summary with its statistics, and the details, whatever else the wiring has by now.

    For tests of what commands print and count, which name each read model. That every other one is kept too is seen
    in tests/api/api/test_every_event.py."""
    for name in PROJECTORS.keys() - {"summary", "details"}:
        monkeypatch.delitem(PROJECTORS, name)
    for name in SUMS.keys() - {"statistics"}:
        monkeypatch.delitem(SUMS, name)
    monkeypatch.setattr(PROJECTORS["summary"], "sums", tuple(SUMS.values()))
