"""Whatever happens in whatever order, the read models equal the events in the end; and the machine can fail."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Row, text
from sqlalchemy.orm import Session, sessionmaker

from core.read_models import catch_up, rebuild_plan, rows
from tests.order_machine import OrderMachine
from tests.stoppable import Process, processes

FULL = os.environ.get("DRILL") == "full"

# The same examples in each run; what fails is printed as a test that can be run.
SETTINGS = settings(
    max_examples=600 if FULL else 30,
    stateful_step_count=50 if FULL else 30,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
SABOTAGED = settings(SETTINGS, max_examples=200, phases=[Phase.generate])


class SabotagedMachine(OrderMachine):
    longest_wait = 0.2  # no sabotaged read model comes right by waiting


@pytest.fixture
def server(database_url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(database_url, autocommit=True, options="-c synchronous_commit=off") as connection:
        yield connection


@pytest.fixture
def four(database_url: str) -> Iterator[list[Process]]:
    with processes(database_url, 4) as started:
        yield started


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of a few events, and COPY from two rows on: small examples take the ways of large ones."""
    monkeypatch.setattr(rebuild_plan, "EVENTS_PER_RANGE", 3)
    monkeypatch.setattr(rows, "FEW", 2)
    monkeypatch.setattr(catch_up, "BATCH", 3)


@pytest.mark.timeout(900 if FULL else 120)
def test_read_models_equal_the_events_in_the_end(
    server: psycopg.Connection[tuple[object, ...]], four: list[Process]
) -> None:
    run_state_machine_as_test(partial(OrderMachine, server, four), settings=SETTINGS)


def assert_fails(server: psycopg.Connection[tuple[object, ...]], four: list[Process]) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(partial(SabotagedMachine, server, four), settings=SABOTAGED)


def test_without_version_guard(
    server: psycopg.Connection[tuple[object, ...]], four: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = rows._upsert
    monkeypatch.setattr(rows, "_upsert", lambda session, table, values, _: guarded(session, table, values, None))

    assert_fails(server, four)


def test_without_checkpoint_horizon(
    server: psycopg.Connection[tuple[object, ...]], four: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    horizon = "AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())"
    query = str(catch_up.READ_SETTLED)
    assert horizon in query
    monkeypatch.setattr(catch_up, "READ_SETTLED", text(query.replace(horizon, "")))

    assert_fails(server, four)


def test_with_a_checkpoint_that_moves_before_projecting(
    server: psycopg.Connection[tuple[object, ...]], four: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_batch, behind = catch_up._read_batch, catch_up._behind

    def move(sessions: sessionmaker[Session], reached: catch_up.Checkpoint) -> Sequence[Row[Any]]:
        batch = read_batch(sessions, reached)
        with sessions.begin() as session:
            for each in batch[-1:]:
                here = {"transaction_id": each.transaction_id, "position": each.position, "events": 0}
                for name in ("summary", "details"):
                    session.execute(catch_up.MOVE_CHECKPOINT, {"projector": name, **here})
        return batch

    monkeypatch.setattr(catch_up, "_read_batch", move)

    assert_fails(server, four)
