"""Whatever happens in whatever order, the read models equal the events in the end; and the machine can fail."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Table, text
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing import repository
from core.event_sourcing.feed import SETTLED_BELOW
from core.orders.order import Order
from core.projection import catch_up, rebuild_plan, sql, sums, writer
from core.projection.parking import project_patiently
from core.projection.project import Projected
from core.projection.read_model import Sums
from tests.drills.drill import FULL
from tests.drills.order_machine import END, NAMES, OrderMachine, Until
from tests.drills.sabotage.forgetful_snapshots import state_without_news
from tests.drills.stoppable import BEFORE_COMMIT, BEFORE_WRITE, processes

# The same examples in each run; what fails is printed as a test that can be run.
SETTINGS = settings(
    max_examples=300 if FULL else 30,
    stateful_step_count=50 if FULL else 30,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
HORIZON = f"AND (epoch, transaction_id) < ({SETTLED_BELOW})"

Make = Callable[[], OrderMachine]
Steps = Callable[[OrderMachine], None]


@pytest.fixture
def make(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Ranges and snapshots of a few events, folding and COPY of few rows: small examples go the ways of large ones."""
    monkeypatch.setattr(repository, "SNAPSHOT_EVERY", 3)
    monkeypatch.setattr(sums, "FEW", 2)
    monkeypatch.setattr(rebuild_plan, "EVENTS_PER_RANGE", 3)
    monkeypatch.setattr(writer, "FEW", 2)
    monkeypatch.setattr(catch_up, "BATCH", 3)
    not_durable = "-c TimeZone=UTC -c synchronous_commit=off"
    with (
        psycopg.connect(database_url, autocommit=True, options=not_durable) as server,
        processes(database_url, 4) as four,
    ):
        yield partial(OrderMachine, server, four)


@pytest.mark.timeout(900 if FULL else 120)
def test_read_models_equal_the_events_in_the_end(make: Make) -> None:
    run_state_machine_as_test(make, settings=SETTINGS)  # type: ignore[arg-type]  # whatever makes one will do


def play(make: Make, steps: Steps) -> None:
    """One example, chosen by hand."""
    machine = make()
    steps(machine)
    machine.teardown()


def play_sabotaged(make: Make, steps: Steps, finding: str = "Findings") -> None:
    """The same example, and the machine must find what is wrong in the end."""
    machine = make()
    machine.longest_wait = 0.5  # no sabotaged read model comes right by waiting
    steps(machine)
    with pytest.raises(AssertionError, match=finding):
        machine.teardown()


def a_command_commits_late(machine: OrderMachine) -> None:
    machine.a_command("A", "place", Until(BEFORE_COMMIT))
    machine.a_command("B", "place", END)
    catch_up_of_both(machine)
    machine.go_on(0)


def a_hint_writes_late(machine: OrderMachine) -> None:
    """It has seen the first event alone, and no row that it could have locked."""
    machine.a_command("A", "place", END)
    machine.a_hint("A", NAMES[:1], Until(BEFORE_WRITE), 1)
    machine.a_command("A", "add", END)
    catch_up_of_both(machine)
    machine.go_on(0)


def a_later_hint_writes_late(machine: OrderMachine) -> None:
    """The same, with a row; catch-up cannot pass while that is locked."""
    machine.a_command("A", "place", END)
    catch_up_of_both(machine)
    machine.a_command("A", "add", END)
    machine.a_hint("A", NAMES[1:], Until(BEFORE_WRITE), 1)
    machine.a_command("A", "add", END)
    catch_up_of_both(machine)
    machine.go_on(0)


def catch_ups_die_everywhere(machine: OrderMachine) -> None:
    for place in range(1, 30):
        machine.a_command(f"A{place}", "place", END)
        for name in NAMES:
            machine.a_catch_up(name, Until(place, dies=True))


def catch_up_of_both(machine: OrderMachine) -> None:
    for name in NAMES:
        machine.a_catch_up(name, END)


@pytest.mark.parametrize(
    "steps", [a_command_commits_late, a_hint_writes_late, a_later_hint_writes_late, catch_ups_die_everywhere]
)
def test_unlucky_examples(make: Make, steps: Steps) -> None:
    play(make, steps)


def test_with_new_rows_that_overwrite(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    really_save = sql.save

    def overwrite(table: Table, counted: Sequence[Sums], *, new: bool) -> bytes:
        changes = ", ".join(f"{column.name} = excluded.{column.name}" for column in table.columns)
        assert new is (b"DO NOTHING" in really_save(table, counted, new=new))
        return really_save(table, counted, new=new).replace(b"DO NOTHING", f"DO UPDATE SET {changes}".encode())

    monkeypatch.setattr(sql, "save", overwrite)

    play_sabotaged(make, a_hint_writes_late)


def test_without_row_locks(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    really_read_news = sql.read_news

    def read_unlocked(table: Table, orders: str) -> bytes:
        assert b"FOR UPDATE" in really_read_news(table, orders)
        return really_read_news(table, orders).replace(b"FOR UPDATE", b"")

    monkeypatch.setattr(sql, "read_news", read_unlocked)

    play_sabotaged(make, a_later_hint_writes_late)


def test_without_checkpoint_horizon(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    query = str(catch_up.READ_SETTLED)
    assert HORIZON in query
    monkeypatch.setattr(catch_up, "READ_SETTLED", text(query.replace(HORIZON, "")))

    play_sabotaged(make, a_command_commits_late)


def test_with_a_checkpoint_that_moves_before_projecting(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    to_the_end = text("""
        UPDATE projector_checkpoints SET (epoch, transaction_id, position) = (
            SELECT epoch, transaction_id, position FROM events ORDER BY epoch DESC, transaction_id DESC LIMIT 1
        ) WHERE projector = :name
    """)

    def move_first(sessions: sessionmaker[Session], name: str, *rest: Any) -> Projected:
        with sessions.begin() as session:
            session.execute(to_the_end, {"name": name})
        return project_patiently(sessions, name, *rest)

    monkeypatch.setattr(catch_up, "project_patiently", move_first)

    play_sabotaged(make, catch_ups_die_everywhere)


def test_with_new_orders_uncounted(make: Make) -> None:
    def an_order_is_placed(machine: OrderMachine) -> None:
        machine.failing.sums = ()
        machine.a_command("A", "place", END)

    play_sabotaged(make, an_order_is_placed, "counters of pending orders: orders is 0, not 1")


def test_with_snapshots_that_forget(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def an_order_grows(machine: OrderMachine) -> None:
        for kind in ("place", "add", "add"):
            machine.a_command("A", kind, END)

    monkeypatch.setattr(Order, "state", state_without_news)

    play_sabotaged(make, an_order_grows, "snapshot of A: item_count is 1, not 2")
