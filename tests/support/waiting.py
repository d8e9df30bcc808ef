"""The one way in which tests wait: for what they need to have happened, never for time to pass."""

import time
from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

PAUSE = 0.02
LONG = 60.0  # so long only on a machine that is busy with other things

WAITING_FOR_LOCKS = text("""
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
""")


def wait_until(reached: Callable[[], object], seconds: float = LONG) -> float:
    """The seconds it took."""
    started = time.monotonic()
    while not reached():
        assert time.monotonic() - started < seconds, f"not reached in {seconds} s"
        time.sleep(PAUSE)
    return time.monotonic() - started


def wait_for_lock(sessions: sessionmaker[Session], number: int = 1) -> None:
    """Until so many connections to this database wait for a lock that another holds."""

    def waiting() -> bool:
        with sessions.begin() as session:
            return bool(session.execute(WAITING_FOR_LOCKS).scalar_one() >= number)

    wait_until(waiting)
