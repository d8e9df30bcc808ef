"""`flask rebuild --on-workers`: spread over real Celery workers, with workers killed and tasks lost."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psutil
import pytest
from flask.testing import FlaskCliRunner
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from core.projection import rebuild_plan
from local.servers import ValkeyServer
from tests.support.make_run import ROOT
from tests.support.read_side import value
from tests.support.rebuilding import (
    WAIT_FOR_HELPERS,
    assert_equal_to_events,
    build_gate,
    clients_at_gate,
    closed,
    fill,
    helpers,
    note_ranges,
    ranges_left_behind,
    rebuild,
)
from tests.support.waiting import wait_for_lock, wait_until
from webapp.cli import rebuild as command
from worker.rebuild import ask_for_ranges, ranges_waiting

ORDERS = 500
RANGES = 20

Sessions = sessionmaker[Session]


class Worker:
    """One Celery worker with one process in its pool."""

    def __init__(self, name: str) -> None:
        options = ["--concurrency", "1", "--hostname", f"{name}@test"]
        self.output = ""
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "celery", "-A", "worker.app", "worker", *options],
            cwd=ROOT,
            env=os.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.output += line

    def wait_until_ready(self) -> None:
        wait_until(lambda: " is ready " in self.output, 60)

    def is_or_has(self, process: psutil.Process) -> bool:
        """Whether it is the worker's main process or one of its pool."""
        return self._process.pid in (process.pid, process.ppid())

    def kill(self) -> None:
        """With its pool, which may have died already."""
        with suppress(psutil.NoSuchProcess):
            worker = psutil.Process(self._process.pid)
            for process in [*worker.children(recursive=True), worker]:
                process.kill()
        self._process.wait()


@pytest.fixture(autouse=True)
def _small_ranges_and_short_standstills(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild_plan, "EVENTS_PER_RANGE", 4 * ORDERS // RANGES)
    monkeypatch.setattr(command, "STANDSTILL_SECONDS", 1.0)


@pytest.fixture(autouse=True)
def forget_tasks(valkey: ValkeyServer) -> Iterator[Callable[[], object]]:
    """Before and after each test, and when it is called."""
    with Redis.from_url(valkey.url) as broker:
        broker.flushdb()
        yield broker.flushdb
        broker.flushdb()


@pytest.fixture
def workers(runner: FlaskCliRunner) -> Iterator[list[Worker]]:
    """Two of them, on the test's database."""
    both = [Worker("one"), Worker("two")]
    try:
        for worker in both:
            worker.wait_until_ready()
        yield both
    finally:
        for worker in both:
            worker.kill()


def test_the_ranges_are_spread_over_the_workers(
    sessions: Sessions, runner: FlaskCliRunner, workers: list[Worker]
) -> None:
    fill(sessions, ORDERS)
    note_ranges(sessions, WAIT_FOR_HELPERS.format(helpers=2))

    result = runner.invoke(args=["rebuild", "--on-workers"])

    assert result.exit_code == 0, result.output
    assert f"summary, details: {4 * ORDERS} events in" in result.output
    assert len(helpers(sessions)) == 2
    assert value(sessions, "SELECT count(*) FROM ranges_done") == RANGES
    assert_equal_to_events(sessions)
    assert ranges_left_behind(sessions) == 0


def test_what_a_killed_worker_had_taken_is_asked_for_again(
    sessions: Sessions, runner: FlaskCliRunner, workers: list[Worker]
) -> None:
    fill(sessions, ORDERS)
    build_gate(sessions, "TRIGGER claim BEFORE UPDATE ON rebuild_ranges FOR EACH ROW WHEN (NEW.number = 3)")

    def kill_one() -> None:
        with closed(sessions):
            wait_for_lock(sessions)
            [client] = clients_at_gate(sessions)
            [worker] = [worker for worker in workers if worker.is_or_has(client)]
            worker.kill()

    with ThreadPoolExecutor(1) as meanwhile:
        killing = meanwhile.submit(kill_one)
        result = runner.invoke(args=["rebuild", "--on-workers"])
        killing.result()

    assert result.exit_code == 0, result.output
    assert "No range was finished for 1 s" in result.output
    assert_equal_to_events(sessions)


def test_lost_tasks_are_asked_for_again_and_waiting_ones_are_not(
    sessions: Sessions,
    runner: FlaskCliRunner,
    forget_tasks: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(sessions, ORDERS)
    asked = []

    def ask(*what: Any) -> None:
        ask_for_ranges(*what)
        asked.append(what)

    monkeypatch.setattr(command, "ask_for_ranges", ask)
    with ThreadPoolExecutor(1) as meanwhile:
        rebuilding = meanwhile.submit(runner.invoke, args=["rebuild", "--on-workers"])
        wait_until(lambda: len(asked) == 3)  # at first, and after each of two standstills
        assert ranges_waiting() == RANGES

        forget_tasks()
        wait_until(lambda: ranges_waiting() == RANGES)
        worker = Worker("late")
        try:
            result = rebuilding.result(60)
        finally:
            worker.kill()

    assert result.exit_code == 0, result.output
    assert_equal_to_events(sessions)


def test_a_broker_that_is_away_is_one_clear_sentence(sessions: Sessions, runner: FlaskCliRunner) -> None:
    fill(sessions, 1)

    status, said = rebuild("--on-workers", REDIS_URL="redis://127.0.0.1:1/0")

    assert (status, said) == (1, "Error: The broker does not answer; try again, or without the workers.\n")
    assert ranges_left_behind(sessions) == 0
    assert value(sessions, "SELECT count(*) FROM order_summary_read_models") == 0
