"""The orders that a worker process has been told of, projected by a thread of its own, all that have gathered at once.

A task says only that an order has news, so it is done when the thread knows. While the thread projects some orders,
more gather; under load a transaction for many costs each a fraction of one of its own."""

import time
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from threading import Condition, Thread

LONGEST_REST = 0.02  # seconds
LONGEST_END = 10.0  # seconds
MOST = 50  # orders that gather; the next task waits, and leaves what is in the broker to other workers


class Hints:
    """Make one per process, after any fork."""

    def __init__(self, project: Callable[[Sequence[str]], None]) -> None:
        """`project` must not raise."""
        self._project = project
        self._gathered: dict[str, Context] = {}
        self._changed = Condition()
        self._busy = self._finished = False
        self._thread = Thread(target=self._work, name="project", daemon=True)
        self._thread.start()

    def add(self, order_id: str) -> None:
        """Waits while there is no room."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._gathered) < MOST)
            self._gathered[order_id] = copy_context()
            self._changed.notify_all()

    def wait(self) -> None:
        """Until all that was added has been projected."""
        with self._changed:
            self._changed.wait_for(lambda: not self._gathered and not self._busy)

    def finish(self, seconds: float = LONGEST_END) -> None:
        """Project what has gathered, and end; what takes longer than that is left to catch-up."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()
        self._thread.join(seconds)

    def _work(self) -> None:
        while gathered := self._take():
            began = time.monotonic()
            if len(gathered) == 1:  # its log lines are then those of its request
                [(order_id, context)] = gathered.items()
                context.run(self._project, [order_id])
            else:
                self._project(sorted(gathered))
            self._rest(time.monotonic() - began)

    def _rest(self, worked: float) -> None:
        """If some has gathered meanwhile: as long as it worked, so that more gathers; else the next goes at once."""
        if self._gathered:
            time.sleep(min(worked, LONGEST_REST))

    def _take(self) -> dict[str, Context]:
        """What has gathered, once something has; nothing in the end."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: bool(self._gathered) or self._finished)
            gathered, self._gathered = self._gathered, {}
            self._busy = bool(gathered)
            self._changed.notify_all()
            return gathered
