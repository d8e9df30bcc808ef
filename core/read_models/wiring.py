"""Every read model by name. A new one is a migration, a file, a line here and `flask rebuild NAME`."""

from typing import Any

from core.projection.read_model import ReadModel, Sums, keep_sums
from core.read_models.details import DetailsReadModel
from core.read_models.statistics import ORDERS_BY_STATUS
from core.read_models.summary import SummaryReadModel
from core.read_models.trends import ORDERS_PER_HOUR, REVENUE_PER_DAY

# Sums over all rows of a read model's first table, which is their `of`.
SUMS: dict[str, Sums] = {
    "statistics": ORDERS_BY_STATUS,
    "orders_per_hour": ORDERS_PER_HOUR,
    "revenue_per_day": REVENUE_PER_DAY,
}

# Read models with rows per order.
PROJECTORS: dict[str, ReadModel[Any]] = {
    "summary": SummaryReadModel(),
    "details": DetailsReadModel(),
}

keep_sums(PROJECTORS, SUMS)
