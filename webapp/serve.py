"""`python -m webapp.serve webapp:create_app`: becomes granian, which serves what this factory makes."""

import os
import sys

from core.settings import WebSettings, WrongSetting

OPTIONS = ("--interface", "wsgi", "--factory", "--no-ws", "--respawn-failed-workers")
# Of each process. granian advises two per core, as if each computed; ours wait, most of them for the disk at a commit
# and up to half of them for the read side (webapp/api/waiting.py).
THREADS = "16"


def command(app: str, web: WebSettings) -> list[str]:
    """The arguments for Python; `app` names a factory, as `module:function`."""
    address = ["--host", web.host, "--port", web.port]
    numbers = [*address, "--workers", str(web.processes), "--blocking-threads", THREADS]
    return ["-m", "granian", *OPTIONS, *numbers, "--log-config", "webapp/granian_logs.json", app]


if __name__ == "__main__":
    try:
        arguments = command(sys.argv[1], WebSettings.load())
    except WrongSetting as error:
        sys.exit(f"orderlog: {error}")
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - in its place, so that signals reach it
