"""Rebuilds that an operator asks for and the workers do. The request is a row, and a task is a hint of it.

Whoever works on one claims ranges of its plan, as `flask rebuild` does. So workers may come, go and die at any moment.
"""

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker
from uuid_utils.compat import uuid7

from core.operator_actions import Outcome
from core.projection.parking import failing_orders, forget_overcome
from core.projection.read_model import ReadModel
from core.projection.rebuild import rebuild_next_range
from core.projection.rebuild_plan import forget, make_plan, ranges
from core.projection.sums import recount
from core.settings import Patience

STALLED = 10  # seconds without a worker, after which it is hinted at again

ASK = text("""
    INSERT INTO operator_actions (id, actor, action, subject) VALUES (:id, :actor, 'rebuild', :name)
    ON CONFLICT (subject) WHERE ended_at IS NULL DO NOTHING
    RETURNING id
""")

UNFINISHED = "action = 'rebuild' AND ended_at IS NULL"

FIND = text(f"SELECT id::text, subject, actor, asked_at, total FROM operator_actions WHERE {UNFINISHED} ORDER BY id")

# Nobody else gets the same ones until they have stalled again.
TAKE_STALLED = text(f"""
    UPDATE operator_actions SET looked_at = now()
    WHERE {UNFINISHED} AND coalesce(looked_at, asked_at) < now() - make_interval(secs => {STALLED})
    RETURNING subject
""")

LOOK = text(f"""
    UPDATE operator_actions SET looked_at = now() WHERE {UNFINISHED} AND subject = :name RETURNING id::text, total
""")

GO_ON = text(f"UPDATE operator_actions SET looked_at = now() WHERE {UNFINISHED} AND id::text = :id RETURNING id")

PLANNED = text(f"UPDATE operator_actions SET total = :total WHERE {UNFINISHED} AND id::text = :id RETURNING id")
IS_PLANNED = text("SELECT total IS NOT NULL FROM operator_actions WHERE id::text = :id")
TRY_TO_PLAN = text("SELECT pg_try_advisory_xact_lock(hashtext('orderlog.rebuild'), hashtext(:id))")

END = text(f"""
    UPDATE operator_actions SET ended_at = now(), outcome = :outcome, done = :done, total = :total
    WHERE {UNFINISHED} AND id::text = :id
    RETURNING id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A rebuild that has not ended. `total` is None until its ranges are planned."""

    id: str
    name: str
    actor: str
    done: int
    total: int | None


def ask(session: Session, actor: str, name: str) -> bool:
    """False if a rebuild of this read model is waiting or running already."""
    row = session.execute(ASK, {"id": uuid7(), "actor": actor, "name": name}).one_or_none()
    return row is not None


def unfinished(session: Session) -> dict[str, Request]:
    """By read model."""
    found = {}
    for row in session.execute(FIND).all():
        done, _ = ranges(session, row.id)
        found[row.subject] = Request(id=row.id, name=row.subject, actor=row.actor, done=done, total=row.total)
    return found


def cancel(session: Session, name: str) -> bool:
    """Ranges that are done stay, and one that is being made is finished; False if there is nothing to cancel."""
    request = unfinished(session).get(name)
    if request is None:
        return False
    ended = {"id": request.id, "outcome": Outcome.CANCELLED, "done": request.done, "total": request.total}
    return session.execute(END, ended).one_or_none() is not None


def take_stalled(session: Session) -> list[str]:
    """The read models whose rebuild nobody has worked on for long: the hint was lost, or its worker has died."""
    return list(session.execute(TAKE_STALLED).scalars())


def work_on(
    sessions: sessionmaker[Session], name: str, model: ReadModel[Any], patience: Patience, *, seconds: float
) -> bool:
    """Make rows again for so long; True if there is more to do. Raises as `project` does."""
    until = time.monotonic() + seconds
    rebuild_id = _planned(sessions, name)
    if rebuild_id is None:
        return False
    while rebuild_next_range(sessions, rebuild_id, {name: model}, patience):
        with sessions.begin() as session:
            if session.execute(GO_ON, {"id": rebuild_id}).one_or_none() is None:  # it was cancelled
                forget(session, rebuild_id)
                return False
        if time.monotonic() >= until:
            return True
    _end_if_done(sessions, rebuild_id, name, model)
    return False


def _planned(sessions: sessionmaker[Session], name: str) -> str | None:
    """The id of the request, once it has a plan; None if there is none, or somebody is just planning it."""
    with sessions.begin() as session:
        request = session.execute(LOOK, {"name": name}).one_or_none()
    if request is None or request.total is not None:
        return request.id if request else None
    of_it = {"id": request.id}
    with sessions.begin() as session:
        if not session.execute(TRY_TO_PLAN, of_it).scalar_one():
            return None
        if not session.execute(IS_PLANNED, of_it).scalar_one():
            make_plan(session, request.id)
            session.execute(PLANNED, {**of_it, "total": ranges(session, request.id)[1]})
    return str(request.id)


def _end_if_done(sessions: sessionmaker[Session], rebuild_id: str, name: str, model: ReadModel[Any]) -> None:
    """Whoever finds no range left ends the rebuild; a range that another still has is left to that one."""
    with sessions.begin() as session:
        done, total = ranges(session, rebuild_id)
    if not total or done < total:
        return
    for sums in model.sums:
        with sessions.begin() as session:
            recount(session, sums)
    with sessions.begin() as session:
        forget_overcome(session, name, model)
        outcome = Outcome.PARTLY if failing_orders(session, [name]) else Outcome.DONE
        session.execute(END, {"id": rebuild_id, "outcome": outcome, "done": done, "total": total})
        forget(session, rebuild_id)
