"""Every read model by name. A new one is a migration, a file, a line here and `flask rebuild NAME`."""

from typing import Any

from core.projection.read_model import ReadModel, Sums
from core.read_models.details import DetailsReadModel
from core.read_models.statistics import ORDERS_BY_STATUS
from core.read_models.summary import SummaryReadModel

# Sums over all rows of the summary.
SUMS: dict[str, Sums] = {
    "statistics": ORDERS_BY_STATUS,
}

# Read models with rows per order.
PROJECTORS: dict[str, ReadModel[Any]] = {
    "summary": SummaryReadModel(tuple(SUMS.values())),
    "details": DetailsReadModel(),
}
