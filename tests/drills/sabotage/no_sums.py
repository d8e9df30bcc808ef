"""Workers that project the summary without counting it."""

from core.read_models.wiring import PROJECTORS
from worker.app import app

__all__ = ["app"]

PROJECTORS["summary"].sums = ()
