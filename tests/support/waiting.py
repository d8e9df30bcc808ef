"""The one way in which tests wait: for what they need to have happened, never for time to pass."""

import time
from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

PAUSE = 0.02
LONG = 60.0  # so long only on a machine that is busy with other things

LOCK_WAITS = text("""
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
""")


class NotReached(AssertionError):
    """What a test waited for has not happened in time."""


def wait_until(reached: Callable[[], object], seconds: float = LONG, pause: float = PAUSE) -> float:
    """The seconds it took. Raises NotReached."""
    started = time.monotonic()
    while not reached():
        if time.monotonic() - started > seconds:
            raise NotReached(f"not reached in {seconds} s")
        time.sleep(pause)
    return time.monotonic() - started


def lock_waits(sessions: sessionmaker[Session]) -> int:
    """How many connections to this database wait for a lock that another holds."""
    with sessions.begin() as session:
        return int(session.execute(LOCK_WAITS).scalar_one())


def wait_for_lock(sessions: sessionmaker[Session], number: int = 1) -> None:
    """Until so many connections do."""
    wait_until(lambda: lock_waits(sessions) >= number)
