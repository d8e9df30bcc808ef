"""A checkpoint never passes an event that may still be committed, and never moves back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing.event_store import NewEvent
from core.event_sourcing.postgres_store import PostgresEventStore
from core.event_sourcing.streams import IdRange
from core.projection import writer
from core.projection.catch_up import BATCH, alone, catch_up
from core.projection.project import project
from core.projection.read_model import ReadModel
from core.projection.verify import verify
from core.read_models.summary import SummaryReadModel
from core.read_models.wiring import PROJECTORS
from tests.support.examples import NOON, ORDER_ID, PLACED
from tests.support.read_side import append_placed, checkpoint, last_position, place_many, run, shown

SUMMARY = PROJECTORS["summary"]


def insert_unseen(session: Session, order_id: str) -> None:
    """Place an order in this session's transaction, which stays open."""
    PostgresEventStore(driver_connection(session)).append(order_id, 0, [NewEvent(event=PLACED, occurred_at=NOON)])


def kill_backend(session: Session) -> None:
    pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    url = session.get_bind().engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid]).fetchone() == (True,)


@pytest.mark.parametrize(
    ("end", "survives"),
    [(Session.commit, True), (Session.rollback, False), (kill_backend, False)],
    ids=["it commits", "it rolls back", "its backend is killed"],
)
def test_an_open_transaction_with_a_lower_position_is_never_passed(
    sessions: sessionmaker[Session], end: Callable[[Session], None], survives: bool
) -> None:
    append_placed(sessions, "ORDER-000")
    before = last_position(sessions)
    slow = sessions()
    insert_unseen(slow, ORDER_ID)
    append_placed(sessions, "ORDER-002")

    for _ in range(2):
        assert catch_up(sessions, "summary", SUMMARY).events <= 1
        assert checkpoint(sessions) == before
        assert shown(sessions) == {"ORDER-000": 1}
    end(slow)
    slow.invalidate()
    catch_up(sessions, "summary", SUMMARY)

    assert shown(sessions) == {"ORDER-000": 1, "ORDER-002": 1} | ({ORDER_ID: 1} if survives else {})
    assert checkpoint(sessions) == last_position(sessions)


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


def test_hints_go_on_while_an_open_transaction_holds_the_checkpoint_back(sessions: sessionmaker[Session]) -> None:
    with sessions() as slow:
        insert_unseen(slow, ORDER_ID)
        append_placed(sessions, "ORDER-002")
        project(sessions, SUMMARY, ["ORDER-002"])

        assert shown(sessions) == {"ORDER-002": 1}


class Paused(SummaryReadModel):
    """Stands still before it locks and reads, until told to go on."""

    def __init__(self) -> None:
        self.sums = PROJECTORS["summary"].sums
        self.reached, self.go_on = Event(), Event()


def test_a_slow_catch_up_does_not_move_the_checkpoint_back(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Paused()
    really_read_news = writer.read_news

    def read_news(connection: Any, model: ReadModel[Any], *args: Any) -> writer.News:
        if model is slow:
            slow.reached.set()
            assert slow.go_on.wait(10)
        return really_read_news(connection, model, *args)

    monkeypatch.setattr(writer, "read_news", read_news)
    append_placed(sessions, ORDER_ID)
    with ThreadPoolExecutor(1) as other:
        slow_run = other.submit(catch_up, sessions, "summary", slow)
        assert slow.reached.wait(10)
        append_placed(sessions, "ORDER-002")
        catch_up(sessions, "summary", SUMMARY)
        assert checkpoint(sessions) == last_position(sessions)
        slow.go_on.set()

        assert slow_run.result().events == 1

    assert checkpoint(sessions) == last_position(sessions)
    assert shown(sessions) == {ORDER_ID: 1, "ORDER-002": 1}


def test_catch_ups_at_once_do_no_harm(sessions: sessionmaker[Session]) -> None:
    orders = BATCH + BATCH // 2
    place_many(sessions, orders)

    with ThreadPoolExecutor(4) as runs:
        results = list(runs.map(lambda _: catch_up(sessions, "details", PROJECTORS["details"]), range(4)))

    assert [result.failures for result in results] == [{}] * 4
    found = verify(sessions, {"details": PROJECTORS["details"]}, IdRange())
    assert (found.rows, found.behind, found.differences) == (orders, 0, [])


def test_only_one_is_alone_with_a_projector(sessions: sessionmaker[Session]) -> None:
    with alone(sessions, "summary") as first, alone(sessions, "summary") as second, alone(sessions, "details") as other:
        assert (first, second, other) == (True, False, True)

    with alone(sessions, "summary") as again:
        assert again


def test_who_has_lost_the_connection_is_not_alone_any_more(sessions: sessionmaker[Session]) -> None:
    held = alone(sessions, "summary")
    assert held.__enter__()
    run(sessions, "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'")

    with alone(sessions, "summary") as other:
        assert other
    with pytest.raises(OperationalError):
        held.__exit__(None, None, None)
