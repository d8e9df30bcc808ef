"""Databases in other states, or with a longer life, than the one of each test."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from local.servers import PostgresServer


@contextmanager
def new_database(server: PostgresServer, name: str, template: str = "template1") -> Iterator[str]:
    """Its URL, until the block ends."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        names = sql.Identifier(name), sql.Identifier(template)
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        yield make_url(server.url).set(database=name).render_as_string(hide_password=False)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(names[0]))
