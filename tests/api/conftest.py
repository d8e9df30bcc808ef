"""What API tests need beyond the application."""

from collections.abc import Iterator

import pytest
from redis import Redis

from local.servers import PostgresServer, ValkeyServer
from tests.api.databases import new_database
from tests.api.hints import Queue


@pytest.fixture
def queue(valkey: ValkeyServer) -> Iterator[Queue]:
    with Redis.from_url(valkey.url) as redis:
        yield Queue(redis)


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[str]:
    """Not migrated."""
    with new_database(postgres, "unmigrated") as url:
        yield url
