"""The database moved to another cluster, whose transaction ids begin low: no event is missed, and nobody does anything.

Each way is the real one: pg_dump, logical replication, pg_upgrade, a backup of long ago."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Lock

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection, session_factory
from core.event_sourcing.feed import START, Cursor, decode, encode, read_feed
from core.event_sourcing.streams import IdRange
from core.projection.catch_up import LOG_EPOCH, catch_up
from core.projection.verify import verify, verify_sums
from core.read_models.wiring import PROJECTORS, SUMS
from core.webhooks import endpoints
from local.servers import SUPERUSER, PostgresServer, ValkeyServer, postgres_binary
from tests.conftest import make_app
from tests.support.calls import order_after, problem, read, send
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, NOON, ORDER_ID, PLACE, PLACED
from tests.support.read_side import append_placed, project_all, run, shown, value
from tests.support.receiver import Receiver, deliver_all
from tests.support.streams import append, handle
from tests.support.waiting import LONG, wait_for_lock, wait_until

SPEND_IDS = "DO $$ BEGIN FOR n IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
NEXT_ID = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
FOLLOWS = "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel"  # the tables were copied, and changes come
EPOCHS = "SELECT count(*) FROM log_epochs"


@pytest.fixture
def other_cluster(tmp_path: Path) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path / "other") as server:
        yield server


@pytest.fixture
def elsewhere(other_cluster: PostgresServer) -> Iterator[sessionmaker[Session]]:
    factory = session_factory(other_cluster.superuser_url)
    yield factory
    factory.kw["bind"].dispose()


def caught_up(sessions: sessionmaker[Session]) -> None:
    for name, model in PROJECTORS.items():
        assert not catch_up(sessions, name, model).failures


def dump(database_url: str, *options: str) -> bytes:
    return subprocess.run([postgres_binary("pg_dump"), *options, database_url], capture_output=True, check=True).stdout


def restore(dumped: bytes, url: str) -> None:
    command = [postgres_binary("psql"), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", url]
    subprocess.run(command, input=dumped, check=True, capture_output=True)


def spend_ids(sessions: sessionmaker[Session]) -> None:
    """Far more than a new cluster has given out when a dump has been restored into it."""
    with psycopg.connect(url(sessions), autocommit=True) as connection:
        connection.execute(SPEND_IDS)


def url(sessions: sessionmaker[Session]) -> str:
    return str(sessions.kw["bind"].url.set(drivername="postgresql").render_as_string(hide_password=False))


def is_right(sessions: sessionmaker[Session], orders: int) -> bool:
    """Whether every read model shows every event, and every sum counts its rows."""
    found = verify(sessions, PROJECTORS, IdRange())
    right = (found.rows, found.behind, found.differences) == (orders * len(PROJECTORS), 0, [])
    return right and not verify_sums(sessions, SUMS)


@pytest.fixture
def moved(
    sessions: sessionmaker[Session], database_url: str, other_cluster: PostgresServer, elsewhere: sessionmaker[Session]
) -> sessionmaker[Session]:
    """A log with checkpoints and one event that no projector has seen, restored from a dump."""
    append(sessions, [PLACED])
    spend_ids(sessions)
    append(sessions, [LAPTOP_ADDED], after=1)
    caught_up(sessions)
    append_placed(sessions, "ORDER-002")
    restore(dump(database_url), other_cluster.superuser_url)
    ids = "SELECT max(transaction_id::text::bigint) FROM events"
    assert value(elsewhere, NEXT_ID) < value(elsewhere, ids)
    return elsewhere


def test_after_a_dump_is_restored_no_event_is_missed(
    moved: sessionmaker[Session], caplog: pytest.LogCaptureFixture
) -> None:
    append(moved, [CONFIRMED], after=2)
    append_placed(moved, "ORDER-003")

    caught_up(moved)

    assert shown(moved) == {ORDER_ID: 3, "ORDER-002": 1, "ORDER-003": 1}
    assert is_right(moved, 3)
    assert value(moved, EPOCHS) == 2
    assert caplog.text.count("The database was moved to another cluster") == len(PROJECTORS)
    append_placed(moved, "ORDER-004")
    caught_up(moved)
    assert is_right(moved, 4)
    assert value(moved, EPOCHS) == 2


def test_a_move_is_told_once_however_often_catch_up_comes_by(
    moved: sessionmaker[Session], caplog: pytest.LogCaptureFixture
) -> None:
    for order_id in ("ORDER-003", "ORDER-004"):
        for _ in range(3):
            caught_up(moved)
        append_placed(moved, order_id)
    caught_up(moved)

    assert caplog.text.count("The database was moved to another cluster") == len(PROJECTORS)


def follow(sessions: sessionmaker[Session], after: Cursor = START, limit: int = 1000) -> tuple[list[str], Cursor]:
    """A page of the feed, as order/version, and the cursor behind it, which has been kept as text."""
    with sessions.begin() as session:
        page = read_feed(driver_connection(session), after, limit)
    return [f"{event.order_id}/{event.version}" for event in page.events], decode(encode(page.next_cursor))


def test_followers_go_on_exactly_after_a_dump_is_restored(
    sessions: sessionmaker[Session], moved: sessionmaker[Session]
) -> None:
    append(moved, [CONFIRMED], after=2)
    append_placed(moved, "ORDER-003")
    everything = [f"{ORDER_ID}/1", f"{ORDER_ID}/2", "ORDER-002/1", f"{ORDER_ID}/3", "ORDER-003/1"]

    assert follow(moved)[0] == everything
    for number in (1, 2, 3):  # of events that were read before the move
        read_before, cursor = follow(sessions, limit=number)
        assert read_before + follow(moved, cursor)[0] == everything


def test_webhooks_go_on_exactly_after_a_dump_is_restored(
    sessions: sessionmaker[Session], database_url: str, other_cluster: PostgresServer, elsewhere: sessionmaker[Session]
) -> None:
    with Receiver() as receiver:
        with sessions.begin() as session:
            endpoints.create(session, receiver.url, "", [], enabled=True)
        append(sessions, [PLACED])
        spend_ids(sessions)
        append(sessions, [LAPTOP_ADDED], after=1)
        deliver_all(sessions)
        append_placed(sessions, "ORDER-002")
        restore(dump(database_url), other_cluster.superuser_url)
        append(elsewhere, [CONFIRMED], after=2)
        deliver_all(elsewhere)

        assert receiver.versions == {ORDER_ID: [1, 2, 3], "ORDER-002": [1]}


def test_followers_see_all_of_a_log_that_was_moved_though_nothing_new_comes(moved: sessionmaker[Session]) -> None:
    assert follow(moved)[0] == [f"{ORDER_ID}/1", f"{ORDER_ID}/2", "ORDER-002/1"]


def test_what_was_late_when_the_dump_was_made_is_shown_though_nothing_new_comes(moved: sessionmaker[Session]) -> None:
    caught_up(moved)

    assert shown(moved) == {ORDER_ID: 2, "ORDER-002": 1}


def test_status_counts_what_is_behind_in_every_epoch(moved: sessionmaker[Session], valkey: ValkeyServer) -> None:
    append(moved, [CONFIRMED], after=2)
    told = make_app(url(moved), valkey.url).test_cli_runner().invoke(args=["status"])

    assert told.output.count("2 events behind") == len(PROJECTORS), told.output
    assert "epoch 2" in told.output


def test_commands_that_come_first_at_once_begin_one_epoch(moved: sessionmaker[Session]) -> None:
    with moved() as first, ThreadPoolExecutor(1) as other:
        first.execute(LOG_EPOCH)
        second = other.submit(append_placed, moved, "ORDER-003")
        wait_for_lock(moved)
        first.rollback()
        second.result()

    append_placed(moved, "ORDER-004")
    caught_up(moved)
    assert is_right(moved, 4)
    assert value(moved, EPOCHS) == 2


def test_events_stay_append_only_in_the_other_cluster(moved: sessionmaker[Session]) -> None:
    with moved() as session, pytest.raises(Exception, match="append-only"):
        session.connection().exec_driver_sql("DELETE FROM events")


def test_a_copied_disk_that_followed_by_replication_is_noticed_by_its_checkpoints(
    sessions: sessionmaker[Session],
) -> None:
    """Its identifier is the same, but its own ids have fallen behind."""
    append(sessions, [PLACED])
    caught_up(sessions)
    run(sessions, "UPDATE projector_checkpoints SET transaction_id = (transaction_id::text::bigint + 5000)::text::xid8")

    append(sessions, [LAPTOP_ADDED], after=1)
    caught_up(sessions)

    assert shown(sessions) == {ORDER_ID: 2}
    assert value(sessions, EPOCHS) == 2


# Logical replication.


class Load:
    """Places orders and catches up, without a break but for the switch-over, wherever the database is."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self.sessions = sessions
        self.placed = 0
        self.read: list[str] = []
        self.cursor = START
        self.writing, self.ended = Lock(), Event()

    def place(self) -> None:
        while not self.ended.is_set():
            with self.writing:
                command = replace(PLACE, order_id=f"ORDER-{self.placed}")
                handle(self.sessions, command, at=NOON)
                self.placed += 1

    def follow(self) -> None:
        while not self.ended.is_set():
            with self.writing:
                sessions = self.sessions
            caught_up(sessions)

    def read_on(self) -> None:
        """What a follower reads, whose requests are answered wherever the database is by then."""
        while not self.ended.is_set():
            with self.writing:
                sessions = self.sessions
            page, self.cursor = follow(sessions, self.cursor, limit=7)
            self.read += page


@pytest.fixture
def publisher(tmp_path: Path, database_url: str) -> Iterator[sessionmaker[Session]]:
    with PostgresServer(tmp_path / "publisher") as server:
        with psycopg.connect(server.superuser_url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET wal_level = logical")
        server.stop()
        server.start()
        restore(dump(database_url), server.superuser_url)
        factory = session_factory(server.superuser_url)
        spend_ids(factory)
        run(factory, "CREATE PUBLICATION everything FOR ALL TABLES")
        yield factory
        factory.kw["bind"].dispose()


def test_a_switch_over_under_load_misses_no_event(
    publisher: sessionmaker[Session], elsewhere: sessionmaker[Session], database_url: str
) -> None:
    there, here = url(elsewhere), url(publisher)
    restore(dump(database_url, "--schema-only"), there)
    load, events = Load(publisher), "SELECT count(*) FROM events"
    with ThreadPoolExecutor(3) as threads, psycopg.connect(there, autocommit=True) as subscriber:
        running = [threads.submit(each) for each in (load.place, load.follow, load.read_on)]
        try:
            subscriber.execute(f"CREATE SUBSCRIPTION moving CONNECTION '{here}' PUBLICATION everything".encode())
            wait_until(lambda: value(elsewhere, FOLLOWS))
            with load.writing:
                wait_until(lambda: value(elsewhere, events) == value(publisher, events))
                subscriber.execute("DROP SUBSCRIPTION moving")
                load.sessions, before = elsewhere, load.placed
            wait_until(lambda: load.placed > before + 50)
        finally:
            load.ended.set()
        for each in running:
            each.result()

    caught_up(elsewhere)

    assert is_right(elsewhere, load.placed)
    assert value(elsewhere, EPOCHS) == value(publisher, EPOCHS) + 1
    rest, _ = follow(elsewhere, load.cursor)
    assert load.read + rest == [f"ORDER-{number}/1" for number in range(load.placed)]


# pg_upgrade, which keeps the ids.


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Which pg_upgrade, run as nobody, may enter."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_after_pg_upgrade_there_is_nothing_to_do(open_folder: Path, database_url: str) -> None:
    with PostgresServer(open_folder / "old") as old:
        restore(dump(database_url), old.superuser_url)
        before = session_factory(old.superuser_url)
        spend_ids(before)
        append(before, [PLACED])
        caught_up(before)
        append_placed(before, "ORDER-002")
        read_before, cursor = follow(before, limit=1)
        before.kw["bind"].dispose()
    new = PostgresServer(open_folder / "new")
    new.password = old.password
    new.prepare()
    upgrade(old, new)

    with new:
        after = session_factory(new.superuser_url)
        append(after, [LAPTOP_ADDED], after=1)
        caught_up(after)

        assert shown(after) == {ORDER_ID: 2, "ORDER-002": 1}
        assert is_right(after, 2)
        assert read_before + follow(after, cursor)[0] == [f"{ORDER_ID}/1", "ORDER-002/1", f"{ORDER_ID}/2"]
        after.kw["bind"].dispose()


def upgrade(old: PostgresServer, new: PostgresServer) -> None:
    """By the program of PostgreSQL, which starts both servers itself."""
    command = [postgres_binary("pg_upgrade"), f"--username={SUPERUSER}", "--no-sync"]
    for server, number in ((old, "old"), (new, "new")):
        command += [f"--{number}-datadir={server.folder}", f"--{number}-port={server.port}"]
    binaries = str(Path(postgres_binary("pg_upgrade")).parent)
    command += [f"--old-bindir={binaries}", f"--new-bindir={binaries}"]
    program = replace(new.program, command=command, env={"PGPASSWORD": old.password}, log=None)
    running = program.launch()
    output, _ = running.communicate(timeout=LONG)
    assert running.returncode == 0, output.decode()


# A backup of long ago.


def test_clients_that_remember_what_a_backup_does_not_hold_get_clear_answers(
    client: FlaskClient,
    database_url: str,
    other_cluster: PostgresServer,
    elsewhere: sessionmaker[Session],
    valkey: ValkeyServer,
) -> None:
    order_id = order_after(client)
    backup = dump(database_url)
    once = {"Idempotency-Key": "item-1"}
    assert send(client, "add_item", order_id, once).status_code == 200
    later = read(send(client, "add_item", order_id))
    lost = order_after(client)
    cursor = read(client.get("/events"))["next_cursor"]
    restore(backup, other_cluster.superuser_url)
    restored = make_app(other_cluster.superuser_url, valkey.url).test_client()
    project_all(elsewhere, order_id)

    answers = {
        "min_version": restored.get(f"/orders/{order_id}?min_version={later['version']}"),
        "min_position": restored.get(f"/orders?min_position={later['position']}"),
        "If-Match": send(restored, "cancel_order", order_id, {"If-Match": f'"{later["version"]}"'}),
        "a lost order": restored.get(f"/orders/{lost}"),
        "after": restored.get(f"/events?after={cursor}"),
    }
    told = {name: (answer.status_code, json.loads(answer.data)["type"]) for name, answer in answers.items()}
    assert told == {
        "min_version": (404, "/problems/no-such-version"),
        "min_position": (404, "/problems/no-such-position"),
        "If-Match": (412, "/problems/order-has-moved-on"),
        "a lost order": (404, "/problems/order-not-found"),
        "after": (410, "/problems/cursor-of-another-log"),
    }
    assert read(send(restored, "add_item", order_id, once))["version"] == 2
    for _ in range(3):  # so that other events have the places of those that were lost
        order_after(restored)
    problem(restored.get(f"/events?after={cursor}"), 410, "cursor-of-another-log")
