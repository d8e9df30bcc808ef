"""The news that rows have changed, by which a waiting client learns of it: PostgreSQL's LISTEN and NOTIFY."""

import json
from collections.abc import Sequence
from typing import Any

from psycopg import Connection

CHANNEL = "orderlog_projected"
EVERY_ORDER = "*"
MOST_NAMED = 50  # a notification holds at most 8,000 bytes

NOTIFY = b"SELECT pg_notify(%s, %s)"

# NOTIFY makes commits wait for one another, so it is left out when nobody listens. Who listens has this lock, shared;
# a projection that gets it for itself until its commit knows that whoever comes to listen will see what it commits.
LISTENING = "hashtext('orderlog.listening'), 0"
NOTIFY_IF_HEARD = f"SELECT pg_notify(%s, %s) WHERE NOT pg_try_advisory_xact_lock({LISTENING})".encode()
LISTEN = f"SELECT pg_advisory_lock_shared({LISTENING}); LISTEN {CHANNEL}".encode()


def announce(connection: Connection[Any], order_ids: Sequence[str]) -> None:
    """Tell who listens, when this transaction commits: a JSON array of order ids, or EVERY_ORDER."""
    connection.execute(NOTIFY, [CHANNEL, _payload(order_ids)])


def announce_if_heard(connection: Connection[Any], order_ids: Sequence[str]) -> None:
    """The same, by a transaction that is about to commit: who comes to listen waits for it."""
    connection.execute(NOTIFY_IF_HEARD, [CHANNEL, _payload(order_ids)])


def listen(connection: Connection[Any]) -> None:
    """For as long as the connection lasts. What came before is not heard: look for it now."""
    connection.execute(LISTEN)


def _payload(order_ids: Sequence[str]) -> str:
    return json.dumps(order_ids) if len(order_ids) <= MOST_NAMED else EVERY_ORDER
