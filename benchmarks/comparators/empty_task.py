"""The limit of a task: one that does nothing, through the same worker with the same settings.

The worker is started with this module, so that it knows these tasks and the service's own."""

import time
from pathlib import Path

import worker.tasks
from worker.app import app

__all__ = ["app", "empty", "note_seconds_since", "worker"]


@app.task
def empty(order_id: str, version: int) -> None:
    """Takes what `project_event` takes."""


@app.task
def note_seconds_since(enqueued_at: float, path: str) -> None:
    """Empty but for a line with the seconds from enqueueing until here."""
    with Path(path).open("a") as lines:
        lines.write(f"{time.time() - enqueued_at}\n")
