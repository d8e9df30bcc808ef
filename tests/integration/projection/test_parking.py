"""An order that was tried often enough is parked until somebody looks; nobody else is held back."""

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.projection import parking
from core.projection.catch_up import catch_up
from core.projection.parking import failing_orders, forget_overcome, parked_orders, retry_now
from core.projection.project import project
from core.read_models.wiring import PROJECTORS
from tests.support.examples import LIFE, ORDER_ID
from tests.support.failing import AT_ONCE, THRICE, CannotApply, Failing, end_pauses, failure, hint
from tests.support.read_side import append_placed, checkpoint, last_position, run, shown
from tests.support.streams import append


def parked(sessions: sessionmaker[Session]) -> list[str]:
    with sessions.begin() as session:
        return [order.order_id for order in parked_orders(session, ["summary"])]


def test_events_before_the_failing_one_are_shown_and_later_ones_wait(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE[:3])
    projector = Failing(3, ORDER_ID)
    catch_up(sessions, "summary", projector, AT_ONCE)
    assert shown(sessions) == {ORDER_ID: 2}

    append(sessions, LIFE[3:], after=3)
    catch_up(sessions, "summary", projector, AT_ONCE)
    hint(sessions, projector)

    assert shown(sessions) == {ORDER_ID: 2}
    assert checkpoint(sessions) == last_position(sessions)


def test_an_order_is_parked_after_its_last_attempt(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    projector = Failing(3, ORDER_ID)
    for _ in range(3):
        assert parked(sessions) == []
        catch_up(sessions, "summary", projector, THRICE)
        end_pauses(sessions)

    assert parked(sessions) == [ORDER_ID]
    known = failure(sessions)
    assert known is not None
    assert (known.version, known.attempts, known.next_attempt_at) == (3, 3, None)
    assert known.first_failed_at < known.last_failed_at
    assert known.error.startswith("CannotApply: ")


def test_a_parked_order_is_left_in_peace(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE[:4])
    projector = Failing(3, ORDER_ID)
    hint(sessions, projector, AT_ONCE)
    before = failure(sessions)

    append(sessions, LIFE[4:], after=4)
    catch_up(sessions, "summary", projector, AT_ONCE)
    hint(sessions, projector, AT_ONCE)

    assert before is not None
    assert failure(sessions) == before
    assert parked(sessions) == [ORDER_ID]


def test_other_orders_of_the_same_batch_and_the_other_projector_go_on(sessions: sessionmaker[Session]) -> None:
    order_ids = [f"ORDER-{number:03}" for number in range(1, 31)]
    for order_id in order_ids:
        append(sessions, LIFE, order_id=order_id)

    result = catch_up(sessions, "summary", Failing(3, "ORDER-007", "ORDER-030"), AT_ONCE)
    catch_up(sessions, "details", PROJECTORS["details"], AT_ONCE)

    assert set(result.failures) == {"ORDER-007", "ORDER-030"}
    assert shown(sessions) == dict.fromkeys(order_ids, 5) | {"ORDER-007": 2, "ORDER-030": 2}
    assert shown(sessions, "order_details_read_models") == dict.fromkeys(order_ids, 5)
    with sessions.begin() as session:
        assert failing_orders(session, PROJECTORS) == [("summary", "ORDER-007"), ("summary", "ORDER-030")]


def test_after_a_fix_a_retry_brings_the_order_up_to_date(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    projector = Failing(3, ORDER_ID)
    catch_up(sessions, "summary", projector, AT_ONCE)
    projector.order_ids.clear()
    catch_up(sessions, "summary", projector, AT_ONCE)
    assert shown(sessions) == {ORDER_ID: 2}

    retried = retry_now(sessions, "summary", projector, [ORDER_ID], AT_ONCE)

    assert (retried.versions, retried.failures) == ({ORDER_ID: 5}, {})
    assert shown(sessions) == {ORDER_ID: 5}
    assert failure(sessions) is None


def test_a_retry_that_fails_parks_again_and_counts(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    projector = Failing(3, ORDER_ID)
    hint(sessions, projector, AT_ONCE)

    retried = retry_now(sessions, "summary", projector, [ORDER_ID], AT_ONCE)

    assert isinstance(retried.failures[ORDER_ID].error, CannotApply)
    assert parked(sessions) == [ORDER_ID]
    known = failure(sessions)
    assert known is not None
    assert known.attempts == 2


def test_a_retry_cut_short_is_made_up_for_by_catch_up(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    projector = Failing(3, ORDER_ID)
    hint(sessions, projector, AT_ONCE)
    run(sessions, "UPDATE projection_failures SET next_attempt_at = now()")  # and then its process died
    projector.order_ids.clear()

    catch_up(sessions, "summary", projector, AT_ONCE)

    assert shown(sessions) == {ORDER_ID: 5}
    assert failure(sessions) is None


def test_many_orders_are_retried_part_by_part(sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "ORDERS_AT_ONCE", 2)
    order_ids = [f"ORDER-{number:03}" for number in range(5)]
    append_placed(sessions, *order_ids)
    projector = Failing(1, *order_ids)
    catch_up(sessions, "summary", projector, AT_ONCE)
    projector.order_ids = {"ORDER-003"}

    retried = retry_now(sessions, "summary", projector, order_ids, AT_ONCE)

    assert set(retried.failures) == {"ORDER-003"}
    assert parked(sessions) == ["ORDER-003"]
    assert set(shown(sessions)) == set(retried.versions) == set(order_ids) - {"ORDER-003"}


def test_an_order_that_a_hint_brought_further_is_forgotten(sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    projector = Failing(3, ORDER_ID)
    hint(sessions, projector, AT_ONCE)
    projector.order_ids.clear()
    hint(sessions, projector)

    catch_up(sessions, "summary", projector, AT_ONCE)

    assert shown(sessions) == {ORDER_ID: 5}
    assert failure(sessions) is None


def test_a_worker_that_dies_before_recording_a_failure_loses_no_event(sessions: sessionmaker[Session]) -> None:
    """The checkpoint has passed all events of the failing order, so nothing else would come back to the later one."""
    append(sessions, LIFE)
    projector = Failing(3, ORDER_ID)
    catch_up(sessions, "summary", projector, AT_ONCE)
    projector.version = 5
    project(sessions, projector, [ORDER_ID])  # shows version 4, and would have recorded a failure of version 5
    assert shown(sessions) == {ORDER_ID: 4}
    with sessions.begin() as session:
        forget_overcome(session, "summary", projector)
    assert failure(sessions) is not None

    catch_up(sessions, "summary", projector, THRICE)
    known = failure(sessions)
    assert known is not None
    assert (known.version, known.attempts) == (5, 1)

    projector.order_ids.clear()
    end_pauses(sessions)
    catch_up(sessions, "summary", projector, THRICE)
    assert shown(sessions) == {ORDER_ID: 5}
