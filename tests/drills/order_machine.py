"""A Hypothesis state machine: any commands, hints, catch-ups and rebuilds, in processes that stop and die anywhere.

A process that stands in the middle of its work holds its transaction and locks while others go on; it goes on later, or
is killed. At the end everything that is in the way is put right, and the read models must equal the events.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy.orm import Session, sessionmaker

from core.command_handler import OrderCommandHandler
from core.database import driver_connection, metadata
from core.event_sourcing.event_store import OpenStore
from core.event_sourcing.postgres_store import PostgresEventStore
from core.orders.commands import AddOrderItem, CancelOrder, ConfirmOrder, OrderCommand, PlaceOrder, ShipOrder
from core.orders.errors import OrderError
from core.projection.catch_up import catch_up
from core.projection.parking import project_patiently, retry_now
from core.projection.read_model import ReadModel
from core.projection.rebuild import rebuild_next_range
from core.projection.rebuild_plan import RebuildPlan
from core.read_models.details import DetailsReadModel
from core.safe_errors import waited_for_lock
from core.settings import Patience
from tests.drills.compare import Findings, compare, compare_as_shown, orders_behind
from tests.drills.journal import Journal
from tests.drills.stoppable import BEFORE_COMMIT, BEFORE_WRITE, NOWHERE, Process
from tests.support.failing import Failing
from tests.support.waiting import NotReached, wait_until

ORDERS = ("A", "B", "C")
NAMES = ("summary", "details")
PATIENCE = Patience(attempts=2, first_pause=3600)  # pauses end when a rule says so

# The log is append-only for everybody else. A fresh database for each example would take a second.
CLEAR = f"""
    ALTER TABLE events DISABLE TRIGGER events_are_append_only;
    {" ".join(f"DELETE FROM {name};" for name in metadata.tables if name != "log_epochs")}
    ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_append_only;
"""

SHOWN = """
    SELECT 'summary', order_id, version FROM order_summary_read_models
    UNION ALL SELECT 'details', order_id, version FROM order_details_read_models
"""


@dataclass(frozen=True)
class Until:
    """A process is stopped there, if it gets there, and killed if it `dies`."""

    place: int
    dies: bool = False


END = Until(NOWHERE)


def until(most: int) -> st.SearchStrategy[Until]:
    """To the end, or to one of so many statements and commits."""
    places = st.sampled_from([BEFORE_WRITE, BEFORE_COMMIT]) | st.integers(1, most)
    return st.just(END) | st.builds(Until, places, st.sampled_from([False, False, True]))


def command(order_id: str, kind: str, tag: str) -> OrderCommand:
    match kind:
        case "place":
            return PlaceOrder(order_id=order_id, customer_name=tag, total_amount=100)
        case "add":
            return AddOrderItem(order_id=order_id, product_name=tag, quantity=2, unit_price=10)
        case "add nothing":
            return AddOrderItem(order_id=order_id, product_name=tag, quantity=0, unit_price=10)
        case "confirm":
            return ConfirmOrder(order_id=order_id)
        case "cancel":
            return CancelOrder(order_id=order_id, reason=tag)
        case _:
            return ShipOrder(order_id=order_id, tracking_number=tag)


def slow_to_commit(sessions: sessionmaker[Session]) -> OpenStore:
    """With a moment between the append and its commit, as PostgreSQL has, for a process to be stopped at."""

    @contextmanager
    def open_store() -> Iterator[PostgresEventStore]:
        with sessions.begin() as session:
            yield PostgresEventStore(driver_connection(session))

    return open_store


class OrderMachine(RuleBasedStateMachine):
    """`server` is a connection of the observer's own to the database of the processes."""

    longest_wait = 5.0  # seconds until nothing is behind; no process stands by then

    def __init__(self, server: psycopg.Connection[Any], processes: list[Process]) -> None:
        super().__init__()
        self.server = server
        self.idle = list(processes)
        self.standing: list[Process] = []
        self.journal = Journal()
        self.sent = 0
        self.failing = Failing(0)
        self.ever_failing = set[str]()
        self.projectors: dict[str, ReadModel[Any]] = {"summary": self.failing, "details": DetailsReadModel()}
        self.shown: dict[tuple[str, str], int] = {}
        for process in processes:
            if process.stands:  # an example that failed has left it so
                process.kill(server)
        server.execute(CLEAR)

    # A process at work

    def run(self, work: Callable[[Process], object], until: Until = END) -> bool:
        """Whether it came to its end, whatever that was."""
        process = self.idle[0]
        if process.run(lambda: work(process), until.place):
            self.check_end(process)
            return process.error is None
        self.standing.append(self.idle.pop(0))
        if until.dies:
            self.kill(len(self.standing) - 1)
        return False

    def check_end(self, process: Process) -> None:
        error = process.error
        if error is not None and not process.killed and not waited_for_lock(error):
            raise AssertionError("nothing else may go wrong") from error

    def release(self, index: int) -> Process:
        process = self.standing.pop(index)
        self.idle.append(process)
        return process

    def kill(self, index: int) -> None:
        self.release(index).kill(self.server)

    def go_on(self, index: int) -> None:
        process = self.release(index)
        process.go_on()
        self.check_end(process)

    # Commands

    @precondition(lambda self: self.idle)
    @rule(
        order_id=st.sampled_from(ORDERS),
        kind=st.sampled_from(["place"] * 3 + ["add"] * 6 + ["add nothing", "confirm", "ship", "cancel"]),
        until=until(4),
    )
    def a_command(self, order_id: str, kind: str, until: Until) -> None:
        self.sent += 1
        tag = f"{order_id} confirmed" if kind == "confirm" else f"{kind} {self.sent}"
        wish = command(order_id, kind, tag)
        self.run(lambda process: self.handle(process, wish, tag), until)

    def handle(self, process: Process, wish: OrderCommand, tag: str) -> None:
        self.journal.send(tag)
        try:
            [recorded] = OrderCommandHandler(slow_to_commit(process.sessions)).handle(wish).recorded
        except OrderError:
            if not isinstance(wish, ConfirmOrder):  # another with the same tag may have been stored
                self.journal.refuse(tag)
        else:
            self.journal.acknowledge(tag, recorded.aggregate_id, recorded.version)

    # What brings events into read models

    @precondition(lambda self: self.idle)
    @rule(
        order_id=st.sampled_from(ORDERS),
        names=st.sampled_from([NAMES, NAMES[:1], NAMES[1:]]),
        until=until(6),
        times=st.integers(1, 2),
    )
    def a_hint(self, order_id: str, names: tuple[str, ...], until: Until, times: int) -> None:
        def work(process: Process) -> None:
            for name in names * times:
                project_patiently(process.sessions, name, self.projectors[name], [order_id], PATIENCE)

        if self.run(work, until) and order_id not in self.failing.order_ids:
            stored = self.server.execute("SELECT max(version) FROM events WHERE aggregate_id = %s", [order_id])
            version = (stored.fetchone() or (None,))[0]
            shown = self.versions_shown()
            assert all(shown.get((name, order_id)) == version for name in names), "one hint is enough"

    @precondition(lambda self: self.idle)
    @rule(name=st.sampled_from(NAMES), until=until(35))
    def a_catch_up(self, name: str, until: Until) -> None:
        self.run(lambda process: catch_up(process.sessions, name, self.projectors[name], PATIENCE), until)

    @precondition(lambda self: self.idle)
    @rule(names=st.sampled_from([NAMES, NAMES[:1], NAMES[1:]]), ranges=st.integers(1, 9), until=until(50))
    def a_rebuild(self, names: tuple[str, ...], ranges: int, until: Until) -> None:
        projectors = {name: self.projectors[name] for name in names}

        def work(process: Process) -> None:
            with RebuildPlan(process.sessions) as plan:
                for _ in range(ranges):
                    rebuild_next_range(process.sessions, plan.id, projectors, PATIENCE)

        self.run(work, until)

    @precondition(lambda self: self.standing)
    @rule(data=st.data(), dies=st.booleans())
    def one_that_stands_goes_on_or_dies(self, data: st.DataObject, dies: bool) -> None:
        index = data.draw(st.integers(0, len(self.standing) - 1))
        if dies:
            self.kill(index)
        else:
            self.go_on(index)

    # A projector with a mistake

    @precondition(lambda self: not self.failing.order_ids)
    @rule(order_id=st.sampled_from(ORDERS), version=st.integers(1, 4))
    def the_summary_fails(self, order_id: str, version: int) -> None:
        self.failing.version = version
        self.failing.order_ids.add(order_id)
        self.ever_failing.add(order_id)

    @precondition(lambda self: self.failing.order_ids)
    @rule()
    def the_summary_is_mended(self) -> None:
        self.failing.order_ids.clear()

    @precondition(lambda self: self.ever_failing)
    @rule()
    def pauses_end(self) -> None:
        self.server.execute("UPDATE projection_failures SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")

    @precondition(lambda self: self.idle and self.ever_failing)
    @rule(until=until(15))
    def a_retry(self, until: Until) -> None:
        found = self.server.execute("SELECT order_id FROM projection_failures WHERE projector = 'summary'").fetchall()
        order_ids = [order_id for (order_id,) in found]
        self.run(lambda process: retry_now(process.sessions, "summary", self.failing, order_ids, PATIENCE), until)

    # What must hold

    @invariant()
    def rows_are_what_the_events_say(self) -> None:
        found = compare_as_shown(self.server)
        assert found.duplicated + found.differences + found.statistics + found.snapshots == []

    @invariant()
    def rows_never_go_back(self) -> None:
        """Unless a projector that fails makes them again."""
        before, self.shown = self.shown, self.versions_shown()
        if not self.ever_failing:
            assert {
                key: self.shown.get(key, 0) for key, version in before.items() if self.shown.get(key, 0) < version
            } == {}

    def versions_shown(self) -> dict[tuple[str, str], int]:
        return {(name, order_id): version for name, order_id, version in self.server.execute(SHOWN)}

    def has_caught_up(self) -> bool:
        for name in NAMES:
            self.a_catch_up(name, END)
        return not orders_behind(self.server)

    def teardown(self) -> None:
        while self.standing:
            self.go_on(0)
        self.the_summary_is_mended()
        self.a_retry(END)
        with suppress(NotReached):  # the comparison says better what is missing
            wait_until(self.has_caught_up, self.longest_wait)
        found = compare(self.server, self.journal)
        assert replace(found, stored=0, snapshots_compared=0) == Findings(), found
        assert self.server.execute("SELECT * FROM projection_failures").fetchall() == []
