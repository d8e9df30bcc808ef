"""A projector that raises is tried again with growing, jittered pauses."""

import logging
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.projection.catch_up import catch_up
from core.safe_errors import WITHHELD
from core.settings import Patience
from tests.support.examples import LIFE, ORDER_ID
from tests.support.failing import AT_ONCE, THRICE, Failing, end_pauses, failure, hint
from tests.support.read_side import append_placed, run, shown
from tests.support.streams import append


def attempts(sessions: sessionmaker[Session]) -> int:
    known = failure(sessions)
    return known.attempts if known else 0


def test_the_first_failure_is_remembered(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)

    hint(sessions, Failing(3, ORDER_ID))

    known = failure(sessions)
    assert known is not None
    assert (known.order_id, known.projector, known.version, known.attempts) == (ORDER_ID, "summary", 3, 1)
    assert known.error == f"CannotApply: {WITHHELD}"
    assert 'raise CannotApply(f"nothing can be done for' in known.traceback
    assert known.first_failed_at == known.last_failed_at
    assert known.next_attempt_at is not None


def test_pauses_double_up_to_the_longest(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    patience = Patience(attempts=6, first_pause=10, longest_pause=60)
    projector = Failing(3, ORDER_ID)

    for attempt, pause in enumerate([10, 20, 40, 60, 60], start=1):
        catch_up(sessions, "summary", projector, patience)
        known = failure(sessions)
        assert known is not None
        assert known.attempts == attempt
        assert known.next_attempt_at is not None
        paused = (known.next_attempt_at - known.last_failed_at) / timedelta(seconds=1)
        assert 0.5 * pause <= paused < 1.5 * pause
        end_pauses(sessions)


def test_pauses_are_jittered(sessions: sessionmaker[Session]) -> None:
    order_ids = [f"ORDER-{number:03}" for number in range(20)]
    append_placed(sessions, *order_ids)

    catch_up(sessions, "summary", Failing(1, *order_ids), THRICE)

    known = [failure(sessions, order_id) for order_id in order_ids]
    assert len({each.next_attempt_at for each in known if each}) > 10


def test_the_first_pause_is_not_longer_than_the_longest(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)

    hint(sessions, Failing(3, ORDER_ID), Patience(first_pause=1000, longest_pause=10))

    known = failure(sessions)
    assert known is not None
    assert known.next_attempt_at is not None
    assert known.next_attempt_at - known.last_failed_at < timedelta(seconds=15)


def test_thousands_of_attempts_are_not_too_many(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    projector = Failing(3, ORDER_ID)
    hint(sessions, projector)
    run(sessions, "UPDATE projection_failures SET attempts = 5000, next_attempt_at = now()")

    hint(sessions, projector, Patience(attempts=9999))

    assert attempts(sessions) == 5001


def test_nothing_is_tried_before_its_pause_is_over(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    projector = Failing(3, ORDER_ID)
    catch_up(sessions, "summary", projector, THRICE)
    projector.order_ids.clear()

    catch_up(sessions, "summary", projector, THRICE)
    assert shown(sessions) == {ORDER_ID: 2}

    end_pauses(sessions)
    catch_up(sessions, "summary", projector, THRICE)
    assert shown(sessions) == {ORDER_ID: 5}
    assert failure(sessions) is None


def test_hints_between_attempts_do_not_count(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    projector = Failing(3, ORDER_ID)

    for _ in range(5):
        hint(sessions, projector)
        assert attempts(sessions) == 1
    end_pauses(sessions)
    for _ in range(5):
        hint(sessions, projector)
        assert attempts(sessions) == 2


def test_a_later_event_that_fails_is_counted_from_the_start(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    projector = Failing(3, ORDER_ID)
    hint(sessions, projector, AT_ONCE)
    projector.version = 5

    hint(sessions, projector, THRICE)

    known = failure(sessions)
    assert known is not None
    assert (known.version, known.attempts) == (5, 1)
    assert known.next_attempt_at is not None
    assert shown(sessions) == {ORDER_ID: 4}


def test_the_log_names_the_order_and_nobody(sessions: sessionmaker[Session], caplog: pytest.LogCaptureFixture) -> None:
    append(sessions, LIFE)
    projector = Failing(3, ORDER_ID)

    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            hint(sessions, projector)
            end_pauses(sessions)

    failed = f"The summary projector failed on order {ORDER_ID} version 3, attempt"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"{failed} 1; it is tried again."),
        ("WARNING", f"{failed} 2; it is tried again."),
        ("ERROR", f"Parked: the summary projector cannot apply order {ORDER_ID} version 3; 3 attempts."),
    ]
    assert "山田太郎" not in caplog.text
