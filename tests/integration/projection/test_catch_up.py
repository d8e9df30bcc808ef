"""Catch-up finds what hints missed, whenever it runs."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.projection import writer
from core.projection.catch_up import BATCH, catch_up
from core.projection.parking import failing_orders
from core.projection.project import project
from core.read_models.header import OrderHeader
from core.read_models.wiring import PROJECTORS
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, MICE_ADDED, ORDER_ID
from tests.support.read_side import append_placed, checkpoint, last_position, place_many, run, shown
from tests.support.streams import append

SUMMARY = PROJECTORS["summary"]


def test_what_no_hint_announced_is_projected(sessions: sessionmaker[Session]) -> None:
    append_placed(sessions, ORDER_ID, "ORDER-002")
    append(sessions, [LAPTOP_ADDED], after=1)

    result = catch_up(sessions, "summary", SUMMARY)

    assert (result.events, result.projected, result.failures) == (3, 2, {})
    assert shown(sessions) == {ORDER_ID: 2, "ORDER-002": 1}
    assert checkpoint(sessions) == last_position(sessions)


def test_what_was_caught_up_is_not_looked_at_again(sessions: sessionmaker[Session]) -> None:
    append_placed(sessions, ORDER_ID, "ORDER-002")
    catch_up(sessions, "summary", SUMMARY)
    append_placed(sessions, "ORDER-003")

    assert catch_up(sessions, "summary", SUMMARY).events == 1
    assert catch_up(sessions, "summary", SUMMARY).events == 0


def test_what_a_hint_has_projected_is_passed_over(sessions: sessionmaker[Session]) -> None:
    append_placed(sessions, ORDER_ID)
    project(sessions, SUMMARY, [ORDER_ID])

    result = catch_up(sessions, "summary", SUMMARY)

    assert (result.events, result.projected) == (1, 0)


def test_an_order_that_fails_is_remembered_and_holds_nobody_else_back(sessions: sessionmaker[Session]) -> None:
    append_placed(sessions, ORDER_ID)
    append(sessions, [MICE_ADDED], order_id="ORDER-002")  # a stream that does not begin with OrderPlaced
    append_placed(sessions, "ORDER-003")

    first = catch_up(sessions, "summary", SUMMARY)

    assert set(first.failures) == {"ORDER-002"}
    assert shown(sessions) == {ORDER_ID: 1, "ORDER-003": 1}
    assert catch_up(sessions, "summary", SUMMARY).events == 0
    with sessions.begin() as session:
        assert failing_orders(session, ["summary"]) == [("summary", "ORDER-002")]


def test_each_projector_has_a_checkpoint_of_its_own(sessions: sessionmaker[Session]) -> None:
    append_placed(sessions, ORDER_ID)

    assert catch_up(sessions, "summary", SUMMARY).projected == 1
    assert catch_up(sessions, "details", PROJECTORS["details"]).projected == 1


def test_more_events_than_one_batch_are_projected_in_one_run(sessions: sessionmaker[Session]) -> None:
    place_many(sessions, 2 * BATCH + 1)

    result = catch_up(sessions, "summary", SUMMARY)

    assert (result.events, result.projected) == (2 * BATCH + 1, 2 * BATCH + 1)
    assert len(shown(sessions)) == 2 * BATCH + 1
    assert checkpoint(sessions) == last_position(sessions)


def test_after_an_hour_without_catch_up_one_run_is_enough(sessions: sessionmaker[Session]) -> None:
    append_placed(sessions, ORDER_ID, "ORDER-002")
    catch_up(sessions, "summary", SUMMARY)
    run(sessions, "UPDATE projector_checkpoints SET moved_at = now() - interval '1 hour', checked_at = moved_at")
    append(sessions, [LAPTOP_ADDED, MICE_ADDED], after=1)
    project(sessions, SUMMARY, [ORDER_ID])
    append(sessions, [CONFIRMED], after=3)
    place_many(sessions, BATCH)

    catch_up(sessions, "summary", SUMMARY)

    assert shown(sessions) == {ORDER_ID: 4, "ORDER-002": 1} | {f"FILL-{n + 1}": 1 for n in range(BATCH)}


def test_a_run_ends_although_events_keep_arriving(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that went on to the end of a busy log would never come to the orders that are to be tried again."""
    really_save = writer.save

    def save(connection: Any, model: Any, rows: Sequence[OrderHeader], stored: writer.Stored) -> Any:
        overtaken = really_save(connection, model, rows, stored)
        append_placed(sessions, f"{rows[0].order_id}+")
        return overtaken

    monkeypatch.setattr(writer, "save", save)
    append_placed(sessions, ORDER_ID)

    assert catch_up(sessions, "summary", SUMMARY).events == 1
    monkeypatch.undo()
    assert catch_up(sessions, "summary", SUMMARY).events == 1
    assert shown(sessions) == {ORDER_ID: 1, f"{ORDER_ID}+": 1}
