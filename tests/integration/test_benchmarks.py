"""What the benchmark makes for measuring is what the service would have made."""

from sqlalchemy.orm import Session, sessionmaker

from benchmarks.comparators.row_by_row import replay
from benchmarks.data import fill
from core.event_sourcing.streams import IdRange
from core.projection.catch_up import catch_up
from core.projection.verify import verify
from core.read_models.wiring import PROJECTORS

MADE = {name: PROJECTORS[name] for name in ("summary", "details")}  # by the benchmark's own SQL


def test_histories_made_by_sql_and_their_read_models_agree(database_url: str, sessions: sessionmaker[Session]) -> None:
    events = fill(database_url, orders=40)

    result = verify(sessions, MADE, IdRange())

    assert events == 120
    assert (result.rows, result.behind, result.differences, result.broken) == (80, 0, [], [])
    assert [catch_up(sessions, name, projector).events for name, projector in MADE.items()] == [0, 0]


def test_replaying_row_by_row_makes_the_same_read_models(database_url: str, sessions: sessionmaker[Session]) -> None:
    events = fill(database_url, orders=8)

    assert replay(sessions.kw["bind"], most=events) == events
    assert verify(sessions, MADE, IdRange()).differences == []
