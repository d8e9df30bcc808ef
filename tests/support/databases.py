"""Databases on the server of the tests: empty or migrated, for as long as a block runs."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from local.servers import OWNER, PostgresServer
from tests.support.make_run import outliving

_numbers = itertools.count(1)


@contextmanager
def new_database(server: PostgresServer, template: str = "template1") -> Iterator[str]:
    """Its URL, until the block ends."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server.superuser_url, autocommit=True, dbname="postgres") as connection:
        names = sql.Identifier(name), sql.Identifier(template), sql.Identifier(OWNER)
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(*names))
        try:
            yield make_url(server.superuser_url).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(names[0]))


def crash(server: PostgresServer) -> None:
    """SIGKILL to all of it. A backend that outlived the postmaster could still answer, and would keep the next from
    starting."""
    psutil.Process(server.pid).suspend()  # so that it begins no backend meanwhile
    processes = processes_of(server)
    server.kill()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert not outliving(processes, 10)


def processes_of(server: PostgresServer) -> list[psutil.Process]:
    """The postmaster and its backends, each of which is a process group of its own."""
    postmaster = psutil.Process(server.pid)
    return [postmaster, *postmaster.children(recursive=True)]
