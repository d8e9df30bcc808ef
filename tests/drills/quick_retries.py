"""Workers that try webhooks again after a second or two: the service's own pauses are longer than a drill."""

from unittest.mock import patch

from core.webhooks import delivering
from worker.app import app

__all__ = ["app"]

patch.object(delivering, "PAUSES", (0.5, 1.0, 2.0)).start()
