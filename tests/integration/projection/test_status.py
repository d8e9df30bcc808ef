"""`flask status` says how far each projector is; screens and metrics have the numbers from the same function."""

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from flask.testing import FlaskCliRunner
from sqlalchemy.orm import Session, sessionmaker

from core.projection.catch_up import catch_up
from core.projection.project import project
from core.projection.status import ProjectionStatus, ProjectorStatus, status
from core.read_models.wiring import PROJECTORS
from tests.support.examples import LAPTOP_ADDED, ORDER_ID, PLACED
from tests.support.failing import AT_ONCE, THRICE, Failing
from tests.support.read_side import append_placed, last_position, store
from tests.support.streams import append

NOTHING = ProjectorStatus(
    checkpoint=0,
    events_behind=0,
    seconds_behind=0.0,
    parked_orders=0,
    retrying_orders=0,
    seconds_since_catch_up=None,
)


def read(sessions: sessionmaker[Session]) -> ProjectionStatus:
    with sessions.begin() as session:
        return status(session, PROJECTORS)


def of(sessions: sessionmaker[Session], name: str = "summary") -> ProjectorStatus:
    return read(sessions).projectors[name]


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def test_of_an_empty_log(sessions: sessionmaker[Session]) -> None:
    nothing = dict.fromkeys(PROJECTORS, NOTHING)
    assert read(sessions) == ProjectionStatus(last_position=0, epoch=1, held_back_by=[], projectors=nothing)


def test_what_is_not_projected_is_behind(sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED], occurred_at=ago(5000))
    project(sessions, PROJECTORS["summary"], [ORDER_ID])
    append(sessions, [PLACED], order_id="ORDER-002", occurred_at=ago(100))
    append(sessions, [PLACED], order_id="ORDER-003", occurred_at=ago(50))

    assert read(sessions).last_position == last_position(sessions)
    summary, details = of(sessions, "summary"), of(sessions, "details")
    assert (summary.checkpoint, summary.events_behind, details.events_behind) == (0, 2, 4)
    assert 100 <= summary.seconds_behind < 160
    assert 5000 <= details.seconds_behind < 5060


def test_after_catch_up_nothing_is_behind(sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED], occurred_at=ago(5000))
    catch_up(sessions, "summary", PROJECTORS["summary"])

    summary = of(sessions)
    assert (summary.checkpoint, summary.events_behind, summary.seconds_behind) == (last_position(sessions), 0, 0.0)
    assert summary.seconds_since_catch_up is not None
    assert 0 <= summary.seconds_since_catch_up < 30
    assert of(sessions, "details").events_behind == 2


def test_hints_shorten_the_lag_before_the_checkpoint_moves(sessions: sessionmaker[Session]) -> None:
    append_placed(sessions, ORDER_ID)
    catch_up(sessions, "summary", PROJECTORS["summary"])
    append(sessions, [LAPTOP_ADDED], after=1)
    append_placed(sessions, "ORDER-002")
    assert of(sessions).events_behind == 2

    project(sessions, PROJECTORS["summary"], [ORDER_ID])

    assert of(sessions).events_behind == 1
    assert of(sessions).checkpoint < last_position(sessions)


def test_a_clock_that_runs_ahead_makes_no_lag_below_nothing(sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED], occurred_at=ago(-60))

    assert (of(sessions).events_behind, of(sessions).seconds_behind) == (1, 0.0)


def test_orders_that_fail_are_counted_and_their_events_are_not_behind(sessions: sessionmaker[Session]) -> None:
    append_placed(sessions, "ORDER-001", "ORDER-002", "ORDER-003")
    catch_up(sessions, "summary", Failing(1, "ORDER-001", "ORDER-002"), AT_ONCE)
    append(sessions, [LAPTOP_ADDED], order_id="ORDER-003", after=1)
    catch_up(sessions, "summary", Failing(2, "ORDER-003"), THRICE)

    summary, details = of(sessions, "summary"), of(sessions, "details")
    assert (summary.parked_orders, summary.retrying_orders, summary.events_behind) == (2, 1, 0)
    assert (details.parked_orders, details.retrying_orders, details.events_behind) == (0, 0, 4)


def test_the_command_prints_a_line_for_each_projector(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    append_placed(sessions, ORDER_ID)
    store(sessions, "ORDER-002", 1, "OrderLost")
    catch_up(sessions, "summary", PROJECTORS["summary"], AT_ONCE)

    result = runner.invoke(args=["status"])

    last = last_position(sessions)
    failing = "orders parked, 0 being tried again"
    assert result.exit_code == 0
    assert re.sub(r"\(\d+\.\d s\)|\d+ s ago", "…", result.output).splitlines() == [
        f"last position: {last} (epoch 1)",
        f"summary: checkpoint {last}, 0 events behind …, 1 {failing}, catch-up …",
        *(
            f"{name}: checkpoint 0, 2 events behind …, 0 {failing}, no catch-up yet"
            for name in PROJECTORS
            if name != "summary"
        ),
    ]


def test_the_command_gives_the_numbers_as_json(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    append_placed(sessions, ORDER_ID)
    catch_up(sessions, "summary", PROJECTORS["summary"])
    append_placed(sessions, "ORDER-002")

    result = runner.invoke(args=["status", "--json"])

    assert result.exit_code == 0
    assert at_any_time(json.loads(result.output)) == at_any_time({**asdict(read(sessions)), "parked_by_webhook": {}})
    assert set(json.loads(result.output)["projectors"]["summary"]) == {
        "checkpoint",
        "events_behind",
        "seconds_behind",
        "parked_orders",
        "retrying_orders",
        "seconds_since_catch_up",
    }


def at_any_time(numbers: dict[str, object]) -> object:
    """Without the seconds, which pass from one reading to the next."""
    return json.loads(json.dumps(numbers), parse_float=lambda _: "a number")
