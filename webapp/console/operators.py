"""What operators do is recorded, and shown on the page where they do it."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from flask import g, request, url_for
from sqlalchemy.orm import Session

from core import operator_actions
from core.operator_actions import Action, Outcome
from webapp.database import db, sessions

NEWEST = 50
ON_READ_MODELS = (Action.RETRY, Action.RETRY_ALL, Action.VERIFY, Action.DRY_RUN, Action.REBUILD)
ON_WEBHOOKS = tuple(action for action in Action if action not in ON_READ_MODELS)


def record(session: Session, action: Action, subject: str, outcome: Outcome = Outcome.DONE, **counted: Any) -> UUID:
    """By the reader, in this transaction; returns the action's id."""
    return operator_actions.record(session, g.actor, action, subject, outcome, **counted)


def record_now(action: Action, subject: str, outcome: Outcome = Outcome.DONE, **counted: Any) -> UUID:
    with sessions().begin() as session:
        return record(session, action, subject, outcome, **counted)


def shown(kinds: Collection[Action]) -> dict[str, Any]:
    """For a template: the newest actions, and the one whose outcome the reader has been led here to see."""
    actions = operator_actions.newest(db.session(), kinds, NEWEST)
    wanted = request.args.get("action")
    return {"actions": actions, "told": next((each for each in actions if str(each.id) == wanted), None)}


def back(endpoint: str, action_id: UUID, **values: Any) -> str:
    """The page where the outcome is told."""
    return url_for(endpoint, action=action_id, **values)
