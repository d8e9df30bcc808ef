"""The worker without its version guard: each hint's event is applied, whatever the row shows already."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Table
from sqlalchemy.orm import Session

import worker.tasks
from core.event_sourcing.postgres_store import PostgresEventStore
from core.read_models import details, rows, summary
from core.read_models.details import OrderDetails
from core.read_models.projector import Projector
from core.read_models.wiring import PROJECTORS
from worker.app import app

__all__ = ["app"]


def project_as_told(order_id: str, version: int) -> None:
    for projector in PROJECTORS.values():
        with worker.tasks.sessions().begin() as session:
            _apply(session, projector, order_id, version)


def _apply(session: Session, projector: Projector[Any], order_id: str, version: int) -> None:
    view = projector.lock(session, [order_id]).get(order_id)
    if view is None and version > 1:
        return
    told = next(PostgresEventStore(session).read_stream(order_id, after=version - 1))
    before = None if version == 1 else _as_of(view, version - 1)
    projector.save(session, [projector.evolve(before, told)])


def _as_of(view: Any, version: int) -> Any:
    """The view as it is, but saying that it shows this version."""
    if isinstance(view, OrderDetails):
        return replace(view, header=replace(view.header, version=version))
    return replace(view, version=version)


def overwrite_rows(session: Session, table: Table, values: Sequence[rows.Values]) -> set[str]:
    return rows.upsert_rows(session, table, values, locked=[row[0] for row in values])


worker.tasks.project_event.run = project_as_told
details.upsert_rows = overwrite_rows
summary.upsert_rows = lambda session, table, values, locked: overwrite_rows(session, table, values)
