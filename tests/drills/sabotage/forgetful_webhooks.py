"""Workers that take every answer of a receiver for a good one, and none too."""

from unittest.mock import patch

from core.webhooks import sending
from tests.drills.quick_retries import app

__all__ = ["app"]

patch.object(sending.Answer, "is_good", property(lambda _: True)).start()
