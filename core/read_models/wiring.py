"""Every read model by name. A new one is a table, a file, a line here and `flask rebuild NAME`."""

from typing import Any

from core.projection.counters import Counters
from core.projection.projector import Projector
from core.read_models.details import DetailsProjector
from core.read_models.statistics import OrderCounters
from core.read_models.summary import SummaryProjector

PROJECTORS: dict[str, Projector[Any]] = {
    "summary": SummaryProjector(),
    "details": DetailsProjector(),
}

# Of those read models that have some.
COUNTERS: dict[str, Counters] = {
    "summary": OrderCounters(),
}
