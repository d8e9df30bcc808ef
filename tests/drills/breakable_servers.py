"""The PostgreSQL and the broker that drills break: real ones, with a fresh database for each drill."""

import itertools
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from local.servers import CannotStart, PostgresServer, Server
from tests.support.brokers import new_broker
from tests.support.databases import crash, processes_of
from tests.support.make_run import ROOT
from tests.support.waiting import wait_until

TEMPLATE = "orderlog"  # the server's own database, migrated


class BreakableServers:
    def __init__(self, folder: Path) -> None:
        self.postgres = PostgresServer(folder)
        self.broker = new_broker(folder)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self.postgres.start()
        self.broker.start()
        urls = {"DATABASE_URL": self.postgres.superuser_url, "BROKER_URL": self.broker.url}
        migrate = [sys.executable, "-m", "flask", "db", "upgrade"]
        subprocess.run(migrate, cwd=ROOT, env={**os.environ, **urls}, check=True, capture_output=True)
        with psycopg.connect(self.postgres.superuser_url, autocommit=True) as template:
            template.execute("CREATE PUBLICATION everything FOR ALL TABLES")  # as a tool that captures changes does
        return self

    def __exit__(self, *_: object) -> None:
        self.broker.stop()
        self.postgres.stop()

    def fresh_database(self) -> str:
        """The URL of a migrated, empty database; the broker is empty then too."""
        self.broker.empty()
        name = f"drill_{next(self._numbers)}"
        with psycopg.connect(self.postgres.superuser_url, autocommit=True, dbname="postgres") as connection:
            names = sql.Identifier(name), sql.Identifier(TEMPLATE)
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        return make_url(self.postgres.superuser_url).set(database=name).render_as_string(hide_password=False)

    def crash_postgres(self) -> None:
        """Started again, it recovers from its log."""
        crash(self.postgres)
        _start_again(self.postgres)

    def pause_postgres(self, seconds: float) -> None:
        """SIGSTOP to all of it, and SIGCONT in the end."""
        processes = processes_of(self.postgres)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        time.sleep(seconds)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def crash_broker(self, away: float) -> None:
        self.broker.kill()
        time.sleep(away)
        _start_again(self.broker)


def _start_again(server: Server) -> None:
    """At once, whatever of it is still going down."""

    def starts() -> bool:
        try:
            server.start()
        except CannotStart:
            return False
        return True

    wait_until(starts)
