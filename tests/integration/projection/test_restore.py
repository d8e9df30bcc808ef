"""A dump restored into another cluster, by the statements of docs/operating.md."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from core.database import session_factory
from core.projection.catch_up import catch_up
from core.read_models.wiring import PROJECTORS
from local.servers import PostgresServer, postgres_binary
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, ORDER_ID, PLACED
from tests.support.streams import append

pytestmark = pytest.mark.usefixtures("two_read_models")


@pytest.fixture
def other_cluster(tmp_path: Path) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path) as server:
        yield server


def test_a_restored_log_is_caught_up_and_goes_on(
    database_url: str, other_cluster: PostgresServer, project_root: Path
) -> None:
    original = session_factory(database_url)
    for _ in range(20):  # so that the other cluster's ids are behind
        with original.begin() as session:
            session.execute(text("SELECT pg_current_xact_id()"))
    append(original, [PLACED, LAPTOP_ADDED])
    original.kw["bind"].dispose()
    dump = subprocess.run([postgres_binary("pg_dump"), database_url], capture_output=True, check=True).stdout
    psql(other_cluster.url, dump)
    psql(other_cluster.url, statements(project_root / "docs" / "operating.md"))

    sessions = session_factory(other_cluster.url)
    append(sessions, [CONFIRMED], after=2)
    caught_up = {name: catch_up(sessions, name, projector) for name, projector in PROJECTORS.items()}

    assert {name: each.events for name, each in caught_up.items()} == {"summary": 3, "details": 3}
    with sessions.begin() as session:
        shown = session.execute(text("SELECT order_id, version FROM order_summary_read_models")).all()
    assert [tuple(row) for row in shown] == [(ORDER_ID, 3)]
    sessions.kw["bind"].dispose()
    with psycopg.connect(other_cluster.url) as connection, pytest.raises(psycopg.Error, match="append-only"):
        connection.execute("DELETE FROM events")


def psql(url: str, script: bytes) -> None:
    command = [postgres_binary("psql"), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", url]
    subprocess.run(command, input=script, check=True, capture_output=True)


def statements(page: Path) -> bytes:
    [found] = re.findall(r"```sql\n(BEGIN;\n.*?)```", page.read_text(), re.DOTALL)
    return str(found).encode()
