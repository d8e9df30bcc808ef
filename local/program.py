"""A program to run as a child of this process, never to outlive it."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

NOBODY = 65534


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """`stop_signal` ends it cleanly, and is what it gets when this process dies. `env` adds to the environment.

    `stdin` is a file descriptor. Without a `log` its output is a pipe to this process."""

    name: str
    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    as_nobody: bool = False
    stdin: int = subprocess.DEVNULL
    log: Path | None = None

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start it as the leader of a process group. Call from a thread that lives as long as this process."""
        if self.log is None:
            return self._launch(subprocess.PIPE)
        with self.log.open("ab") as log:
            return self._launch(log.fileno())

    def _launch(self, output: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [*self._wrapper(), *self.command],
            cwd=self.cwd,
            env={**os.environ, **self.env},
            stdin=self.stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _wrapper(self) -> list[str]:
        if not can_set_privileges():
            return []
        options = ["--pdeathsig", self.stop_signal.name.removeprefix("SIG")]
        return ["setpriv", *options, *(_NOBODY_OPTIONS if self.as_nobody else []), "--"]


_NOBODY_OPTIONS = [
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    "--bounding-set=-all",
    "--inh-caps=-all",
    "--no-new-privs",
]


@cache
def can_set_privileges() -> bool:
    """Whether util-linux's setpriv is here and works."""
    if shutil.which("setpriv") is None:
        return False
    attempt = ["setpriv", "--pdeathsig", "TERM", "--", "true"]
    return subprocess.run(attempt, capture_output=True, check=False).returncode == 0


def nobody_may_run(file: Path) -> bool:
    """Call it as root only, who may enter every folder."""
    attempt = ["setpriv", *_NOBODY_OPTIONS, "--", "test", "-x", str(file)]
    return subprocess.run(attempt, capture_output=True, check=False).returncode == 0


def procfile(path: Path) -> dict[str, str]:
    """Shell commands by process name."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return {name.strip(): command.strip() for name, command in (line.split(":", 1) for line in lines)}


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL what is left of the process's group, the leader included."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def stop(process: "subprocess.Popen[bytes]", by: signal.Signals, seconds: float) -> None:
    """Ask the process to stop, and kill its group when it has or when the time is over."""
    with suppress(ProcessLookupError):
        process.send_signal(by)
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    kill_group(process)
