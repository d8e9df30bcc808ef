"""`python -m webapp.serve webapp:create_app`: becomes the web server that WEB_SERVER names.

granian and gunicorn get as many processes and threads, so that one can take the other's place."""

import os
import sys
from collections.abc import Mapping

from core.settings import WrongSetting, choice, number

PROCESSES = r"[1-9]\d?", "a number of processes from 1 to 99"
THREADS = "16"  # of each process


def command(app: str, environment: Mapping[str, str]) -> list[str]:
    """What to run; `app` names a factory, as `module:function`. Raises WrongSetting."""
    host, port = environment.get("HOST") or "127.0.0.1", environment.get("PORT") or "8000"
    processes = number("WEB_PROCESSES", environment, "2", *PROCESSES)
    if choice("WEB_SERVER", environment, "granian", "gunicorn") == "gunicorn":
        return _gunicorn(app, f"{host}:{port}", processes)
    return _granian(app, host, port, processes)


def _granian(app: str, host: str, port: str, processes: str) -> list[str]:
    options = ["--interface", "wsgi", "--factory", "--host", host, "--port", port, "--workers", processes]
    options += ["--blocking-threads", THREADS, "--respawn-failed-workers", "--no-ws"]
    return ["-m", "granian", *options, "--log-config", "webapp/granian_logs.json", app]


def _gunicorn(app: str, address: str, processes: str) -> list[str]:
    """Its own keep-alive of 2 seconds is shorter than a proxy's, which then meets closed connections."""
    options = ["--bind", address, "--workers", processes, "--threads", THREADS, "--worker-class", "gthread"]
    options += ["--keep-alive", "75", "--no-control-socket", "--log-level", "warning"]
    return ["-m", "gunicorn", "--config", "python:webapp.gunicorn_hooks", *options, f"{app}()"]


def main() -> None:
    """Exits with one sentence for a setting that cannot be used."""
    try:
        arguments = command(sys.argv[1], os.environ)
    except WrongSetting as error:
        sys.exit(f"orderlog: {error}")
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - in its place, so that signals reach it


if __name__ == "__main__":
    main()
