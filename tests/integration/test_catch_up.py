"""Catch-up finds what hints missed, and never passes an event that has not been committed yet."""

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.event_store import NewEvent
from core.event_sourcing.postgres_store import PostgresEventStore
from core.read_models.catch_up import catch_up
from core.read_models.details import DetailsProjector
from core.read_models.parking import failing_orders
from core.read_models.projector import project
from core.read_models.wiring import PROJECTORS
from tests.examples import LAPTOP_ADDED, MICE_ADDED, ORDER_ID, PLACED
from tests.streams import append

SUMMARY = PROJECTORS["summary"]


def shown(sessions: sessionmaker[Session]) -> dict[str, int]:
    with sessions.begin() as session:
        return dict(session.execute(text("SELECT order_id, version FROM order_summary_read_models")).all())


def checkpoint(sessions: sessionmaker[Session]) -> int:
    with sessions.begin() as session:
        query = text("SELECT position FROM projector_checkpoints WHERE projector = 'summary'")
        return session.execute(query).scalar() or 0


def place(sessions: sessionmaker[Session], *order_ids: str) -> None:
    for order_id in order_ids:
        append(sessions, [PLACED_AS[order_id]], order_id=order_id)


PLACED_AS = {
    order_id: type(PLACED)(
        order_id=order_id, customer_name="山田太郎", total_amount=PLACED.total_amount, placed_at=PLACED.placed_at
    )
    for order_id in (ORDER_ID, "ORDER-002", "ORDER-003")
}


def test_what_no_hint_announced_is_projected(sessions: sessionmaker[Session]) -> None:
    place(sessions, ORDER_ID, "ORDER-002")
    append(sessions, [LAPTOP_ADDED], after=1)

    result = catch_up(sessions, "summary", SUMMARY)

    assert (result.events, result.projected, result.failures) == (3, 2, {})
    assert shown(sessions) == {ORDER_ID: 2, "ORDER-002": 1}


def test_what_was_caught_up_is_not_looked_at_again(sessions: sessionmaker[Session]) -> None:
    place(sessions, ORDER_ID, "ORDER-002")
    catch_up(sessions, "summary", SUMMARY)
    place(sessions, "ORDER-003")

    assert catch_up(sessions, "summary", SUMMARY).events == 1
    assert catch_up(sessions, "summary", SUMMARY).events == 0


def test_what_a_hint_has_projected_is_passed_over(sessions: sessionmaker[Session]) -> None:
    place(sessions, ORDER_ID)
    project(sessions, SUMMARY, [ORDER_ID])

    result = catch_up(sessions, "summary", SUMMARY)

    assert (result.events, result.projected) == (1, 0)


@pytest.mark.parametrize("commits", [True, False])
def test_an_open_transaction_with_a_lower_position_is_never_passed(
    sessions: sessionmaker[Session], commits: bool
) -> None:
    with sessions() as slow:
        insert_unseen(slow, ORDER_ID)
        place(sessions, "ORDER-002")
        catch_up(sessions, "summary", SUMMARY)
        assert checkpoint(sessions) == 0
        if commits:
            slow.commit()
        else:
            slow.rollback()

    catch_up(sessions, "summary", SUMMARY)

    assert shown(sessions) == ({ORDER_ID: 1} if commits else {}) | {"ORDER-002": 1}


def test_a_lower_position_under_a_later_transaction_id_is_never_passed(sessions: sessionmaker[Session]) -> None:
    """Positions and transaction ids are handed out apart: here the earlier transaction takes the later position."""
    with sessions() as early, sessions() as late:
        early.execute(text("SELECT pg_current_xact_id()"))
        late.execute(text("SELECT pg_current_xact_id()"))
        insert_unseen(late, ORDER_ID)
        insert_unseen(early, "ORDER-002")
        early.commit()
        catch_up(sessions, "summary", SUMMARY)
        assert shown(sessions) == {"ORDER-002": 1}
        late.commit()

    catch_up(sessions, "summary", SUMMARY)

    assert shown(sessions) == {ORDER_ID: 1, "ORDER-002": 1}


def insert_unseen(session: Session, order_id: str) -> None:
    """Place an order in this session's transaction, which stays open."""
    new = NewEvent(event=PLACED_AS[order_id], occurred_at=PLACED.placed_at)
    PostgresEventStore(session).append(order_id, 0, [new])


def test_an_order_that_fails_is_remembered_and_holds_nobody_else_back(sessions: sessionmaker[Session]) -> None:
    place(sessions, ORDER_ID)
    append(sessions, [MICE_ADDED], order_id="ORDER-002")  # a stream that does not begin with OrderPlaced
    place(sessions, "ORDER-003")

    first = catch_up(sessions, "summary", SUMMARY)

    assert set(first.failures) == {"ORDER-002"}
    assert shown(sessions) == {ORDER_ID: 1, "ORDER-003": 1}
    assert catch_up(sessions, "summary", SUMMARY).events == 0
    with sessions.begin() as session:
        assert failing_orders(session, ["summary"]) == [("summary", "ORDER-002")]


def test_each_projector_has_a_checkpoint_of_its_own(sessions: sessionmaker[Session]) -> None:
    place(sessions, ORDER_ID)

    assert catch_up(sessions, "summary", SUMMARY).projected == 1
    assert catch_up(sessions, "details", DetailsProjector()).projected == 1
