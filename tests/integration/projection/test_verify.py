"""Verify finds every row that differs from what the events say, and takes nothing else for a difference."""

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.streams import IdRange
from core.projection import verify as module
from core.projection.catch_up import catch_up
from core.projection.verify import Difference, Verified, sample, steps, verify
from core.read_models.wiring import PROJECTORS
from core.settings import Patience
from tests.support.damage import SAID_OF_STRAYS, STRAYS, damage_columns, damage_rows, shipped
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, ORDER_ID, PLACED
from tests.support.failing import AT_ONCE, THRICE
from tests.support.read_side import append_placed, project_all, run, store
from tests.support.streams import append

SHOW_THE_CUSTOMER = {name: PROJECTORS[name] for name in ("summary", "details")}


def catch_up_with_all(sessions: sessionmaker[Session]) -> None:
    for name, projector in PROJECTORS.items():
        catch_up(sessions, name, projector, AT_ONCE)


def verify_all(sessions: sessionmaker[Session]) -> Verified:
    return verify(sessions, PROJECTORS, IdRange())


def said(*found: Verified) -> set[tuple[str, ...]]:
    return {
        (each.name, each.key, each.field, str(each.stored), str(each.expected))
        for part in found
        for each in part.differences
    }


def test_right_rows_are_right(sessions: sessionmaker[Session]) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002")

    assert verify_all(sessions) == Verified(rows=2 * len(PROJECTORS))


def test_every_damaged_column_is_found_with_both_values(sessions: sessionmaker[Session]) -> None:
    expected = damage_columns(sessions)
    shipped(sessions, ORDER_ID)

    found = verify_all(sessions)

    assert said(found) == expected
    assert len(found.differences) == len(expected) == 25
    assert found.drifted == {
        damaged: {order_id for projector, order_id, *_ in expected if projector == damaged}
        for damaged in ("summary", "details")
    }


def test_missing_and_additional_and_outdated_rows_are_found(sessions: sessionmaker[Session]) -> None:
    expected = damage_rows(sessions)
    shipped(sessions, ORDER_ID)

    found = verify_all(sessions)

    assert said(found) == expected
    assert len(found.differences) == len(expected)
    assert found.behind == 0


def test_a_projection_that_stands_still_for_no_known_reason_is_found(sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, PLACED, CONFIRMED])  # the second cannot be applied
    catch_up(sessions, "summary", PROJECTORS["summary"])
    assert verify_all(sessions).differences == []
    run(sessions, "DELETE FROM projection_failures")

    assert verify_all(sessions).differences == [Difference("summary", ORDER_ID, "version", 1, 3)]


def test_what_is_merely_not_projected_yet_is_no_difference(sessions: sessionmaker[Session]) -> None:
    append_placed(sessions, ORDER_ID, "ORDER-002")
    project_all(sessions, "ORDER-002")
    append(sessions, [LAPTOP_ADDED], order_id="ORDER-002", after=1)
    assert verify_all(sessions) == Verified(rows=len(PROJECTORS), behind=2 * len(PROJECTORS))

    catch_up_with_all(sessions)
    append_placed(sessions, "ORDER-003")
    append(sessions, [LAPTOP_ADDED], after=1)
    assert verify_all(sessions) == Verified(rows=2 * len(PROJECTORS), behind=2 * len(PROJECTORS))


@pytest.mark.parametrize("patience", [AT_ONCE, THRICE], ids=["parked", "tried again"])
def test_an_order_that_fails_is_no_difference_until_its_row_is_damaged(
    sessions: sessionmaker[Session], patience: Patience
) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED, PLACED, CONFIRMED])  # the second OrderPlaced cannot be applied
    store(sessions, "ORDER-002", 1, "OrderPlaced", {"order_id": "", "customer_name": None, **AMOUNT_AND_TIME})
    for name, projector in SHOW_THE_CUSTOMER.items():
        catch_up(sessions, name, projector, patience)
    assert verify(sessions, SHOW_THE_CUSTOMER, IdRange()) == Verified(rows=2, behind=4)

    run(sessions, "UPDATE order_summary_read_models SET customer_name = 'wrong'")
    assert said(verify(sessions, SHOW_THE_CUSTOMER, IdRange())) == {
        ("summary", ORDER_ID, "customer_name", "wrong", "山田太郎")
    }


AMOUNT_AND_TIME = {"total_amount": "1.00", "placed_at": "2026-01-01T12:00:00+00:00"}


def test_a_gap_in_the_log_is_reported(sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED])
    store(sessions, ORDER_ID, 4, "OrderConfirmed", {"order_id": ORDER_ID, "confirmed_at": "2026-01-01T12:00:00Z"})
    store(sessions, "ORDER-002", 2, "OrderLost")
    catch_up_with_all(sessions)

    found = verify_all(sessions)

    assert {(each.order_id, each.version): str(each.error) for each in found.broken} == {
        (ORDER_ID, 4): "version 3 is missing",
        ("ORDER-002", 2): "This release cannot read events of type 'OrderLost', schema version 1.",
    }
    assert found.differences == []


def test_rows_before_an_event_that_cannot_be_read_are_compared(sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED])
    store(sessions, ORDER_ID, 3, "OrderLost")
    catch_up_with_all(sessions)
    run(sessions, "UPDATE order_item_read_models SET quantity = 7")

    found = verify_all(sessions)

    assert [(each.order_id, each.version) for each in found.broken] == [(ORDER_ID, 3)]
    assert said(found) == {("details", ORDER_ID, "order_item_read_models.2.quantity", "7", "1")}


def test_the_steps_hold_every_order_and_every_stray_row_once(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ORDERS_PER_STEP", 2)
    shipped(sessions, *(f"ORDER-{number:03}" for number in range(7)))
    run(sessions, *STRAYS)

    found = [verify(sessions, PROJECTORS, ids) for ids in steps(sessions)]

    assert len(found) > 2
    assert sum(part.rows for part in found) == 7 * len(PROJECTORS)
    assert said(*found) == SAID_OF_STRAYS
    assert sum(len(part.differences) for part in found) == len(SAID_OF_STRAYS)


def test_a_sample_is_of_different_orders_each_time(sessions: sessionmaker[Session]) -> None:
    shipped(sessions, *(f"ORDER-{number:03}" for number in range(30)))

    samples = [tuple(sample(sessions, 5).ids) for _ in range(5)]

    assert [len(set(ids)) for ids in samples] == [5] * 5
    assert len(set(samples)) > 1
    assert len(sample(sessions, 100).ids) == 30
