"""The web application with the commit behind the answer: a thread of its own commits a little later."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest.mock import patch

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core.database import driver_connection
from core.event_sourcing.event_store import OpenStore
from core.event_sourcing.postgres_store import PostgresEventStore
from tests.drills.factories import early_snapshots
from webapp.api import commands

LATER = 0.1  # seconds

committing = ThreadPoolExecutor(8)


def create_app() -> Flask:
    patch.object(commands, "stores", answered_before_commit).start()
    return early_snapshots()


def answered_before_commit(engine: Engine) -> OpenStore:
    @contextmanager
    def open_store() -> Iterator[PostgresEventStore]:
        session = Session(engine)
        try:
            yield PostgresEventStore(driver_connection(session))
        except BaseException:
            session.close()
            raise
        committing.submit(_commit_later, session)

    return open_store


def _commit_later(session: Session) -> None:
    time.sleep(LATER)
    with session:
        session.commit()
