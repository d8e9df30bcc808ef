"""A worker's thread projects the orders that tasks have told of: one alone at once, many together, none forgotten."""

import contextvars
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Event, Thread

import pytest

from worker.tasks import LONGEST_REST, MOST, Hints

SOON = 10.0  # seconds
request = contextvars.ContextVar("request", default="none")


class Projecting:
    """Stands in for the read models: notes what it is given, and waits within each call until it may go on."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.requests: list[str] = []
        self.began = SimpleQueue[bool]()
        self.may_go_on = Event()

    def __call__(self, order_ids: Sequence[str]) -> None:
        self.calls.append(list(order_ids))
        self.requests.append(request.get())
        self.began.put(True)
        assert self.may_go_on.wait(SOON)


@pytest.fixture
def projecting() -> Projecting:
    return Projecting()


@pytest.fixture
def hints(projecting: Projecting) -> Iterator[Hints]:
    hints = Hints(projecting)
    yield hints
    projecting.may_go_on.set()
    hints.finish()


def in_request(name: str, call: Callable[[], None]) -> None:
    def within() -> None:
        request.set(name)
        call()

    contextvars.copy_context().run(within)


def test_an_order_is_projected_at_once_and_in_the_context_of_its_task(hints: Hints, projecting: Projecting) -> None:
    projecting.may_go_on.set()
    in_request("r-1", lambda: hints.add("A"))
    hints.finish()

    assert (projecting.calls, projecting.requests) == ([["A"]], ["r-1"])


def test_what_gathers_meanwhile_is_projected_together_and_each_order_once(hints: Hints, projecting: Projecting) -> None:
    hints.add("A")
    assert projecting.began.get(timeout=SOON)
    for order_id in ("C", "B", "A", "C"):
        hints.add(order_id)
    projecting.may_go_on.set()
    hints.finish()

    assert projecting.calls == [["A"], ["A", "B", "C"]]
    assert projecting.requests[1] == "none"


def test_it_rests_only_when_something_has_gathered(
    hints: Hints, projecting: Projecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests = SimpleQueue[float]()
    monkeypatch.setattr("worker.tasks.time.sleep", rests.put)
    hints.add("A")
    assert projecting.began.get(timeout=SOON)
    hints.add("B")
    projecting.may_go_on.set()
    hints.finish()

    assert projecting.calls == [["A"], ["B"]]
    assert 0 < rests.get_nowait() <= LONGEST_REST  # after A, as B had gathered
    assert rests.empty()  # none after B


def test_a_task_waits_while_there_is_no_room(hints: Hints, projecting: Projecting) -> None:
    hints.add("first")
    assert projecting.began.get(timeout=SOON)
    for number in range(MOST):
        hints.add(f"order {number}")
    one_too_many = Thread(target=hints.add, args=["last"])
    one_too_many.start()
    one_too_many.join(0.05)
    assert one_too_many.is_alive()

    projecting.may_go_on.set()
    one_too_many.join(SOON)
    hints.finish()

    assert not one_too_many.is_alive()
    assert [len(call) for call in projecting.calls] == [1, MOST, 1]
    assert projecting.calls[2:] == [["last"]]


def test_a_process_that_ends_projects_what_has_gathered(projecting: Projecting) -> None:
    hints = Hints(projecting)
    hints.add("A")
    assert projecting.began.get(timeout=SOON)
    hints.add("B")
    projecting.may_go_on.set()
    hints.finish()

    assert projecting.calls == [["A"], ["B"]]


def test_a_process_ends_even_if_the_projecting_does_not(hints: Hints, projecting: Projecting) -> None:
    hints.add("A")
    assert projecting.began.get(timeout=SOON)

    ending = Thread(target=hints.finish, args=[0.01], daemon=True)
    ending.start()
    ending.join(SOON)

    assert not ending.is_alive()
    assert projecting.calls == [["A"]]
