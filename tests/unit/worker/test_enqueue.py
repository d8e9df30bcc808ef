"""A process that is ending still answers commands; their hints are left to catch-up."""

import pytest

from core.event_sourcing.event_store import RecordedEvent
from tests.support.examples import NOON, ORDER_ID, PLACED
from worker.enqueue import Enqueuer


def test_what_cannot_be_enqueued_any_more_is_logged_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    enqueuer = Enqueuer()
    enqueuer.close()

    enqueuer.enqueue([RecordedEvent(1, ORDER_ID, 1, PLACED, {}, NOON)])

    [warning] = caplog.messages
    assert warning.startswith(f"Order {ORDER_ID} version 1 not enqueued")
    assert warning.endswith("catch-up will project it.")
