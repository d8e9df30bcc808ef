"""Keeps programs running: one that dies is started again, until all are stopped.

Own code because honcho stops everything when one process exits, and supervisord cannot wait between starting the
servers and starting what needs them."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from local.program import Program, kill_group, stop

Say = Callable[[str, str], None]  # (who, line)

PAUSE = 0.5  # seconds before a second start in short succession; the read side may not lag for long
LONG_RUN = 10.0  # after so many seconds a death counts as the first again


@dataclass(slots=True)
class Child:
    program: Program
    process: "subprocess.Popen[bytes]"
    started_at: float
    deaths: int = 0  # in short succession
    restart_at: float | None = None


class Supervisor:
    """Call it from one thread that lives as long as the process; `say` is called from others too."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._children: list[Child] = []

    def start(self, program: Program) -> None:
        self._children.append(Child(program, self._launch(program), time.monotonic()))

    def tend(self) -> None:
        """Notice what has died and start what is due again; call it several times a second."""
        now = time.monotonic()
        for child in self._children:
            if child.restart_at is None and child.process.poll() is not None:
                self._bury(child, now)
            if child.restart_at is not None and child.restart_at <= now:
                child.process = self._launch(child.program)
                child.started_at, child.restart_at = now, None

    def deaths(self, name: str) -> int:
        """How often the program of this name has died in short succession."""
        return sum(child.deaths for child in self._children if child.program.name == name)

    def stop(self, chosen: Callable[[str], bool], seconds: float) -> None:
        """Stop the programs with such names at once, each by its own signal; what outlives `seconds` is killed."""
        children = [child for child in self._children if chosen(child.program.name)]
        self._children = [child for child in self._children if child not in children]
        stopping = [
            threading.Thread(target=stop, args=(child.process, child.program.stop_signal, seconds))
            for child in children
        ]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()

    def _bury(self, child: Child, now: float) -> None:
        kill_group(child.process)  # what it leaves behind may hold its port
        if now - child.started_at > LONG_RUN:
            child.deaths = 0
        pause = PAUSE if child.deaths else 0.0
        child.deaths += 1
        child.restart_at = now + pause
        when = f"in {pause:g} s" if pause else "now"
        self._say(
            "orderlog", f"{child.program.name} died ({_cause(child.process.returncode)}); starting it again {when}."
        )

    def _launch(self, program: Program) -> "subprocess.Popen[bytes]":
        process = program.launch()
        if process.stdout is not None:
            threading.Thread(target=self._relay, args=(program.name, process.stdout), daemon=True).start()
        return process

    def _relay(self, name: str, output: IO[bytes]) -> None:
        with output:
            for line in output:
                self._say(name, line.decode(errors="replace").rstrip())


def _cause(code: int) -> str:
    """In the words of the shell: an exit status or a signal."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
