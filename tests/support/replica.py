"""A second PostgreSQL that follows the first by streaming replication, and whose replay can be held up."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from local.servers import CannotStart, PostgresServer
from tests.support.waiting import wait_until

COPY_SECONDS = 60
REPLAYED = "SELECT coalesce(pg_last_wal_replay_lsn() >= %s::pg_lsn, false)"


class Replica(PostgresServer):
    """Copies the primary when it starts for the first time."""

    name = "replica"

    def __init__(self, primary: PostgresServer, name: str = "replica") -> None:
        self.name = name
        super().__init__(primary.folder.parent)
        self.primary = primary
        self.password = primary.password
        self._passwords = primary._passwords

    def of(self, database_url: str) -> str:
        """The same database on this server."""
        return make_url(database_url).set(port=self.port).render_as_string(hide_password=False)

    def prepare(self) -> None:
        if (self.folder / "PG_VERSION").exists():
            return
        self._make_folder(self.folder)
        options = [f"--dbname={self.primary.superuser_url}", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        copying = replace(self._program("pg_basebackup", *options, folder=self.folder), log=self.log).launch()
        if copying.wait(COPY_SECONDS):
            raise CannotStart(f"The primary could not be copied; {self.log} says why.")

    def answers(self) -> bool:
        """The roles and the database are the primary's."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def catch_up(self) -> None:
        """Until it has replayed everything that the primary holds now."""
        with self.connect() as here, psycopg.connect(self.primary.superuser_url, autocommit=True) as there:
            lsn = _one(there, "SELECT pg_current_wal_flush_lsn()::text")
            wait_until(lambda: _one(here, REPLAYED, lsn))

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.superuser_url, autocommit=True)

    def pause(self) -> None:
        with self.connect() as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
            wait_until(lambda: _one(connection, "SELECT pg_get_wal_replay_pause_state()") == "paused")

    def resume(self) -> None:
        with self.connect() as connection:
            connection.execute("SELECT pg_wal_replay_resume()")

    @contextmanager
    def paused(self) -> Iterator[None]:
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def promote(self) -> None:
        with self.connect() as connection:
            assert _one(connection, "SELECT pg_promote()")


def _one(connection: psycopg.Connection[Any], query: str, *values: str) -> Any:
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return row[0]
