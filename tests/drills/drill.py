"""One drill from the first command to its report: load, faults, the wait for the read models, the comparison."""

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.drills.compare import compare, orders_behind
from tests.drills.faults import Fault
from tests.drills.fleet import SEED, Fleet
from tests.drills.journal import Journal
from tests.drills.load import Load
from tests.drills.report import MOST_SECONDS, Report
from tests.support.waiting import NotReached, wait_until

FULL = os.environ.get("DRILL") == "full"
PATIENCE = 30.0  # how long the read models are waited for; what takes more than 5 s fails all the same
LONGEST_LOAD = 900
START_SECONDS = 30

reports: list[Report] = []  # of this run of pytest, for the table at its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much a drill does: shortened within the tests, in full by `make drill`."""

    short: int
    full: int

    def __int__(self) -> int:
        return self.full if FULL else self.short


def run(
    name: str,
    stack: Fleet,
    *,
    events: int,
    faults: Sequence[Fault] = (),
    counted: Counter[str] | None = None,
    patience: float = PATIENCE,
    most_seconds: float = MOST_SECONDS,
    journal: Journal | None = None,
    alongside: AbstractContextManager[object] | None = None,
    settle: Callable[[], object] = lambda: None,
    also_answered: Callable[[], Sequence[dict[str, Any]]] = lambda: (),
) -> Report:
    """Spread the faults evenly over the load, so that the last one ends as the load does; print the report.

    `alongside` is left when the load has stopped and before the clock starts; `settle` is called before comparing.
    `also_answered` are statistics that are held to the log as the web servers' own are."""
    journal = journal or Journal()
    began = time.monotonic()
    with alongside or nullcontext(), Load(stack.ports, journal, SEED):
        for number, fault in enumerate(faults, start=1):
            wait_for_events(journal, events * number // len(faults))
            fault()
        wait_for_events(journal, events)
    stopped = time.monotonic()  # the last fault has ended, and the last client has its answer
    with psycopg.connect(stack.database_url, autocommit=True, options="-c TimeZone=UTC") as connection:
        seconds = seconds_to_catch_up(connection, stopped, patience)
        settle()
        findings = compare(connection, journal, [*statistics_answered(stack), *also_answered()])
    report = Report(
        name=name,
        seed=SEED,
        faults=counted if counted is not None else Counter(),
        acknowledged=len(journal.acknowledged),
        unknown=len(journal.unknown),
        findings=findings,
        load_seconds=stopped - began,
        seconds=seconds,
        logs=stack.logs,
        most_seconds=most_seconds,
    )
    print(report, flush=True)
    reports.append(report)
    return report


def wait_for_events(journal: Journal, number: int) -> None:
    wait_until(lambda: len(journal.acknowledged) >= number, LONGEST_LOAD)


def seconds_to_catch_up(connection: psycopg.Connection[Any], since: float, patience: float) -> float | None:
    """Until no order is behind; None if that is not reached."""
    try:
        wait_until(lambda: not orders_behind(connection), patience - (time.monotonic() - since))
    except NotReached:
        return None
    return time.monotonic() - since


def statistics_answered(stack: Fleet) -> list[dict[str, Any]]:
    """By each web server, when those that were killed last are back."""
    answers: list[dict[str, Any]] = []

    def all_answer() -> bool:
        answers[:] = stack.answers("/orders/statistics")
        return len(answers) == len(stack.ports)

    wait_until(all_answer, START_SECONDS)
    return answers
