"""The news that views have changed, by which a waiting client learns of it: PostgreSQL's LISTEN and NOTIFY."""

import json
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

CHANNEL = "orderlog_projected"
EVERY_ORDER = "*"
MOST_NAMED = 50  # a notification holds at most 8,000 bytes

NOTIFY = text("SELECT pg_notify(:channel, :payload)")


def announce(session: Session, order_ids: Sequence[str]) -> None:
    """Tell who listens, when this transaction commits: a JSON array of order ids, or EVERY_ORDER."""
    payload = json.dumps(order_ids) if len(order_ids) <= MOST_NAMED else EVERY_ORDER
    session.execute(NOTIFY, {"channel": CHANNEL, "payload": payload})
