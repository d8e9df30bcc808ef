"""Workers whose catch-up does nothing: only hints project."""

from unittest.mock import patch

import worker.tasks
from worker.app import app

__all__ = ["app"]

patch.object(worker.tasks, "run_catch_up").start()
