"""A hint that cannot be sent is left to catch-up, and the log says so once."""

import time
from contextvars import copy_context

import pytest

from core.event_sourcing.event_store import RecordedEvent
from tests.support.examples import NOON, ORDER_ID, PLACED
from worker import enqueue
from worker.enqueue import WORTH_SENDING, Enqueuer, Hint


def test_what_cannot_be_enqueued_any_more_is_logged_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    enqueuer = Enqueuer()
    enqueuer.close()

    enqueuer.enqueue([RecordedEvent(1, ORDER_ID, 1, PLACED, {}, NOON)])

    [warning] = caplog.messages
    assert warning.startswith(f"Order {ORDER_ID} version 1 not enqueued")
    assert warning.endswith("catch-up will project it.")


def test_a_stale_hint_is_logged_once_while_the_broker_is_away(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise ValueError("redis://:of-the-tests@broker.example")

    monkeypatch.setattr(enqueue, "connect", refuse)
    now, enqueuer = time.monotonic(), Enqueuer()
    enqueuer._waiting.extend(
        Hint(order_id, 1, {}, since, copy_context())
        for order_id, since in (("STALE", now - 2 * WORTH_SENDING), ("FRESH", now))
    )

    enqueuer._send_waiting()

    assert sorted(said.split(" version")[0] for said in caplog.messages) == ["Order FRESH", "Order STALE"]
    assert "of-the-tests" not in caplog.text
