"""What a hint costs: two round trips per read model, and no wait for the disk."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.database import derived_session_factory, session_factory
from core.durability import dangers
from core.projection.project import Projected, project
from core.read_models.wiring import PROJECTORS
from tests.support.examples import LIFE
from tests.support.streams import append
from tests.support.turns import Turns

Sessions = sessionmaker[Session]


def round_trips(turns: Turns, work: Callable[[], Projected]) -> int:
    before = turns.number
    assert not work().failures
    return turns.number - before


@pytest.mark.parametrize("name", PROJECTORS)
def test_a_hint_takes_two_round_trips_whatever_there_is_to_do(sessions: Sessions, database_url: str, name: str) -> None:
    with Turns(database_url) as turns:
        projecting = session_factory(turns.url)
        project(projecting, PROJECTORS[name], ["ORDER-404"])  # SQLAlchemy asks a server what it is
        for number in range(7):  # statements are prepared by and by
            order_id = f"ORDER-{number}"
            for version, happened in enumerate(LIFE):
                append(sessions, [happened], order_id=order_id, after=version)
                for _ in ("news", "no news"):
                    assert round_trips(turns, lambda: project(projecting, PROJECTORS[name], [order_id])) == 2  # noqa: B023
            append(sessions, LIFE, order_id=f"{order_id}+")
            assert round_trips(turns, lambda: project(projecting, PROJECTORS[name], [f"{order_id}+"])) == 2  # noqa: B023
        projecting.kw["bind"].dispose()


def test_only_what_can_be_made_again_does_not_wait_for_the_disk(sessions: Sessions, database_url: str) -> None:
    derived = derived_session_factory(database_url)
    with derived.begin() as session:
        assert session.execute(text("SHOW synchronous_commit")).scalar() == "off"
        assert session.execute(text("SHOW TimeZone")).scalar() == "UTC"
    derived.kw["bind"].dispose()

    with sessions.begin() as session:
        assert session.execute(text("SHOW synchronous_commit")).scalar() == "on"
        assert dangers(session) == []
