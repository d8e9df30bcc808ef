"""Each read model keeps the sums over its own first table, and nothing is silently kept by nobody."""

import pytest
from sqlalchemy import BigInteger, Column, Integer, Table
from sqlalchemy.schema import MetaData

from core.projection import read_model
from core.projection.read_model import Sums, keep_sums
from core.read_models.details import DetailsReadModel, order_details, order_items
from core.read_models.statistics import ORDERS_BY_STATUS
from core.read_models.summary import SummaryReadModel


@pytest.fixture(autouse=True)
def own_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables of these tests' sums are none of the service's."""
    monkeypatch.setattr(read_model, "metadata", MetaData())


def sums_of(table: Table) -> Sums:
    select = "SELECT version, count(*) AS orders FROM {rows} GROUP BY version"
    columns = Column("version", Integer), Column("orders", BigInteger)
    return Sums("sums_by_version", of=table, key=columns[:1], counted=columns[1:], select=select)


def test_each_read_model_keeps_the_sums_over_its_first_table() -> None:
    summary, details, by_version = SummaryReadModel(), DetailsReadModel(), sums_of(order_details)

    keep_sums({"summary": summary, "details": details}, {"statistics": ORDERS_BY_STATUS, "versions": by_version})

    assert (summary.sums, details.sums) == ((ORDERS_BY_STATUS,), (by_version,))


def test_sums_that_no_read_model_could_keep_are_refused() -> None:
    with pytest.raises(ValueError, match="The sums versions are of order_item_read_models, which is not the first"):
        keep_sums({"details": DetailsReadModel()}, {"versions": sums_of(order_items)})
