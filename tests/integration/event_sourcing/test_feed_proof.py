"""Followers beside writers that hold transactions open, roll back, and are killed: nothing is missed or comes twice."""

import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count

import psycopg
import pytest
from psycopg import Connection
from sqlalchemy.orm import Session, sessionmaker

from core.command_handler import ConcurrentChange, OrderCommandHandler
from core.event_sourcing.event_store import NewEvent
from core.event_sourcing.feed import EVERYTHING, START, FeedFilter, decode, encode, read_feed
from core.event_sourcing.postgres_store import PostgresEventStore, stores
from tests.support.examples import ADD_LAPTOP, LAPTOP_ADDED, NOON, PLACE, PLACED
from tests.support.read_side import value
from tests.support.threads import meanwhile
from tests.support.waiting import wait_until

Sessions = sessionmaker[Session]

ENOUGH = 600  # events
SHARED = [f"SHARED-{number}" for number in range(3)]  # orders that every writer changes
WHOLE_LOG = "SELECT aggregate_id, version, event_type FROM events ORDER BY epoch, transaction_id, position"

NOTHING_OPEN = "SELECT pg_snapshot_xmin(now) = pg_snapshot_xmax(now) FROM pg_current_snapshot() AS now"


class Writers:
    """Each in a thread, until the log is long enough."""

    def __init__(self, sessions: Sessions, database_url: str) -> None:
        self._handler = OrderCommandHandler(stores(sessions.kw["bind"]))
        self._sessions = sessions
        self._url = database_url
        self._numbers = count()
        self.ended = threading.Event()

    def write(self) -> None:
        """All at once, until there are enough events and every transaction has ended, also those of the killed."""
        for order_id in SHARED:
            self._handler.handle(replace(PLACE, order_id=order_id))
        with meanwhile(self.ended, self.command, self.command, self.linger, self.linger, self.linger):
            wait_until(lambda: value(self._sessions, "SELECT count(*) FROM events") >= ENOUGH)
        wait_until(lambda: value(self._sessions, NOTHING_OPEN))

    def command(self) -> None:
        """As the service does, all at the same orders."""
        while not self.ended.is_set():
            with suppress(ConcurrentChange):
                self._handler.handle(replace(ADD_LAPTOP, order_id=random.choice(SHARED)))

    def linger(self) -> None:
        """Transactions that stay open while others commit, and then end in each way there is."""
        ends: list[Callable[[Connection], None]]
        ends = [Connection.commit, Connection.commit, Connection.rollback, Connection.close, self._kill]
        while not self.ended.is_set():
            connection = psycopg.connect(self._url)
            order_id = f"SLOW-{next(self._numbers)}"
            if random.random() < 0.3:
                connection.execute("SELECT pg_current_xact_id()")  # long before it takes a position
            self._pass_by(random.randrange(5))
            store = PostgresEventStore(connection)
            store.append(order_id, 0, [NewEvent(event=PLACED, occurred_at=NOON)])
            self._pass_by(random.randrange(5))
            store.append(order_id, 1, [NewEvent(event=LAPTOP_ADDED, occurred_at=NOON)])
            random.choice(ends)(connection)
            connection.close()

    def _pass_by(self, number: int) -> None:
        """Until so many others have committed."""
        for _ in range(number):
            self._handler.handle(replace(PLACE, order_id=f"QUICK-{next(self._numbers)}"))

    def _kill(self, connection: Connection) -> None:
        with psycopg.connect(self._url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])


class Follower:
    """Reads on from the text of its cursor; every few pages it starts anew, as after a crash, on another connection."""

    def __init__(self, url: str, ended: threading.Event, limit: int, matching: FeedFilter = EVERYTHING) -> None:
        self._url, self._ended, self._limit, self.matching = url, ended, limit, matching
        self.read: list[tuple[str, int, str]] = []
        self.read_while_written = 0

    def follow(self) -> None:
        cursor, at_end = encode(START), False
        while not (at_end and self._ended.is_set()):
            with psycopg.connect(self._url, autocommit=True) as connection:
                for _ in range(20):
                    ended = self._ended.is_set()
                    page = read_feed(connection, decode(cursor), self._limit, self.matching)
                    cursor, at_end = encode(page.next_cursor), page.at_end and ended
                    self.read += [(event.order_id, event.version, event.event_type) for event in page.events]
                    self.read_while_written += 0 if ended else len(page.events)


def matching_of(matching: FeedFilter, log: list[tuple[str, int, str]]) -> Iterator[tuple[str, int, str]]:
    for order_id, version, event_type in log:
        if matching.order_id in (None, order_id) and (not matching.types or event_type in matching.types):
            yield order_id, version, event_type


@pytest.mark.parametrize("seed", [1, 2])
def test_followers_read_the_whole_log_once_whatever_writers_do(
    sessions: Sessions, database_url: str, seed: int
) -> None:
    random.seed(seed)
    writers = Writers(sessions, database_url)
    done = threading.Event()
    followers = [
        Follower(database_url, done, 1000),
        Follower(database_url, done, 1),
        Follower(database_url, done, 5, FeedFilter(types=["OrderPlaced"])),
        Follower(database_url, done, 5, FeedFilter(order_id=SHARED[0])),
    ]
    with meanwhile(done, *(follower.follow for follower in followers)):
        writers.write()

    with psycopg.connect(database_url) as connection:
        log = [(row[0], row[1], row[2]) for row in connection.execute(WHOLE_LOG)]
    for follower in followers:
        assert follower.read == list(matching_of(follower.matching, log))
        assert follower.read_while_written
    versions: dict[str, list[int]] = defaultdict(list)
    for order_id, version, _ in log:
        versions[order_id].append(version)
    assert all(of_one == list(range(1, len(of_one) + 1)) for of_one in versions.values())
    assert {len(versions[order_id]) for order_id in versions if order_id.startswith("SLOW")} == {2}
    assert all(len(versions[order_id]) > 10 for order_id in SHARED)
