"""The pauses between attempts grow, differ from one another, and end after three days."""

from datetime import UTC, datetime
from itertools import accumulate, pairwise

import pytest

from core.webhooks.delivering import JITTER, PATIENCE, PAUSES, message_id, pause
from core.webhooks.sending import retry_after

DAY = 24 * 3600


@pytest.mark.parametrize(("attempts", "seconds"), [*enumerate(PAUSES, start=1), (10, PAUSES[-1]), (10**6, PAUSES[-1])])
def test_a_pause_is_jittered_by_a_fifth(attempts: int, seconds: float) -> None:
    drawn = [pause(attempts) for _ in range(200)]

    assert all(seconds * (1 - JITTER) <= each <= seconds * (1 + JITTER) for each in drawn)
    assert max(drawn) - min(drawn) > seconds * JITTER


def test_the_longest_of_a_pause_is_shorter_than_the_shortest_of_the_next() -> None:
    for shorter, longer in pairwise(PAUSES):
        assert shorter * (1 + JITTER) < longer * (1 - JITTER)


def test_there_are_seventeen_attempts_in_three_days() -> None:
    pauses = [*PAUSES, *[PAUSES[-1]] * 10]

    assert PATIENCE == 3 * DAY
    assert 1 + sum(after < PATIENCE for after in accumulate(pauses)) == 17


def test_a_message_has_one_id_per_endpoint_and_event() -> None:
    one, other = "019a5e3c-2b1f-7c40-9d51-7a2f5f3b8c1e", "019a5e3c-2b1f-7c40-9d51-7a2f5f3b8c1f"
    ids = [message_id(webhook, event) for webhook in (one, other) for event in ("A/1", "A/2")]

    assert len(set(ids)) == 4
    assert ids == [message_id(webhook, event) for webhook in (one, other) for event in ("A/1", "A/2")]
    assert all("." not in each for each in ids)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (b"120", 120),
        (b" 0 ", 0),
        (b"9" * 400, DAY),
        (b"Sat, 31 Jan 2026 09:02:00 GMT", 120),
        (b"Sat, 31 Jan 2026 08:00:00 GMT", 0),
        (b"Sun, 31 Jan 2027 09:00:00 GMT", DAY),
        (b"-5", 0),
        (b"\xb2", 0),
        (b"soon", 0),
        (b"", 0),
    ],
)
def test_a_receiver_may_ask_to_be_left_alone_for_a_day(said: bytes, seconds: float) -> None:
    assert retry_after([(b"Date", b"x"), (b"Retry-After", said)], datetime(2026, 1, 31, 9, tzinfo=UTC)) == seconds
    assert retry_after([], datetime(2026, 1, 31, 9, tzinfo=UTC)) == 0
