"""A Celery worker in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from local.program import stop
from tests.support.make_run import ROOT


class Worker:
    """Takes tasks from the broker's start on while the block runs; what it missed it finds in the broker."""

    def __init__(self, database_url: str, redis_url: str, log: Path) -> None:
        self._environment = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
        self._log = log

    def __enter__(self) -> Self:
        options = ["--loglevel", "WARNING", "--concurrency", "1"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "celery", "--quiet", "-A", "worker.app", "worker", *options],
                cwd=ROOT,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        stop(self._process, signal.SIGTERM, seconds=10)
