"""`python -m webapp.serve webapp:create_app`: becomes granian, which serves what this factory makes."""

import os
import sys
from collections.abc import Mapping

from core.settings import WrongSetting, number

PROCESSES = r"[1-9]\d?", "a number of processes from 1 to 99"
OPTIONS = ("--interface", "wsgi", "--factory", "--no-ws", "--respawn-failed-workers")
# Of each process. granian advises two per core, as if each computed; ours wait, most of them for the disk at a commit
# and up to half of them for the read side (webapp/api/waiting.py).
THREADS = "16"


def command(app: str, environment: Mapping[str, str]) -> list[str]:
    """The arguments for Python; `app` names a factory, as `module:function`. Raises WrongSetting."""
    host, port = environment.get("HOST") or "127.0.0.1", environment.get("PORT") or "8000"
    processes = number("WEB_PROCESSES", environment, "2", *PROCESSES)
    numbers = ["--host", host, "--port", port, "--workers", processes, "--blocking-threads", THREADS]
    return ["-m", "granian", *OPTIONS, *numbers, "--log-config", "webapp/granian_logs.json", app]


if __name__ == "__main__":
    try:
        arguments = command(sys.argv[1], os.environ)
    except WrongSetting as error:
        sys.exit(f"orderlog: {error}")
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - in its place, so that signals reach it
