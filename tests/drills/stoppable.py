"""A process of the service, played by a thread: it can be stopped before any statement or commit, and killed there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Any

import psycopg
from sqlalchemy import event, text

from core.database import session_factory
from tests.support.waiting import wait_until

NOWHERE, BEFORE_WRITE, BEFORE_COMMIT = 0, -1, -2  # places to stop at; or the number of a statement or commit
WRITES = ("INSERT", "UPDATE", "DELETE", "WITH appended", "WITH old")
LONG = 30.0  # seconds
END_BACKENDS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ANY(%s)"


class Killed(BaseException):
    """Nothing of the service may catch this, as nothing catches SIGKILL."""


class Cursor(psycopg.Cursor[Any]):
    def execute(self, query: Any, *args: Any, **options: Any) -> "Cursor":
        statement = query.decode() if isinstance(query, bytes) else str(query)
        if statement == "COMMIT":
            self._reached(BEFORE_COMMIT)
        elif not statement.startswith("BEGIN"):
            self._reached(BEFORE_WRITE if statement.lstrip().startswith(WRITES) else NOWHERE)
        return super().execute(query, *args, **options)

    def copy(self, *args: Any, **options: Any) -> Any:
        self._reached(BEFORE_WRITE)
        return super().copy(*args, **options)

    def _reached(self, place: int) -> None:
        assert isinstance(self.connection, Connection)
        self.connection.reached(place)


class Connection(psycopg.Connection[Any]):
    """Tells its process of each statement, and of each commit before and after."""

    reached: Callable[[int], None] = staticmethod(lambda _: None)

    def commit(self) -> None:
        self.reached(BEFORE_COMMIT)
        super().commit()
        self.reached(NOWHERE)

    # The pool asks for these when nobody holds a connection any more; it may have died with its holder.

    def rollback(self) -> None:
        if not self.closed:
            super().rollback()

    def set_autocommit(self, value: bool) -> None:
        if not self.closed:
            super().set_autocommit(value)

    def set_isolation_level(self, value: Any) -> None:
        if not self.closed:
            super().set_isolation_level(value)


class Process:
    """Works at one thing at a time, over connections of its own; whoever drives it waits until it ends or stands.

    It gives up on locks at once, as nobody else moves meanwhile: whoever holds one stands."""

    def __init__(self, database_url: str) -> None:
        self.sessions = session_factory(database_url)
        self.stands = self.killed = False
        self.error: BaseException | None = None
        self._engine = self.sessions.kw["bind"]
        self._connections: list[Connection] = []
        self._place, self._count = NOWHERE, 0
        self._ended, self._go_on = SimpleQueue[bool](), SimpleQueue[bool]()
        event.listen(self._engine, "do_connect", self._connect)
        with self.sessions() as session:
            session.execute(text("SELECT"))  # what SQLAlchemy asks a server first shall not count

    def run(self, work: Callable[[], object], place: int = NOWHERE) -> bool:
        """Whether it has ended; else it stands at that place. `error` is how it ended."""
        self.killed, self.error = False, None
        self._place, self._count = place, 0
        Thread(target=self._work, args=[work], daemon=True).start()
        self.stands = not self._ended.get(timeout=LONG)
        return not self.stands

    def go_on(self) -> None:
        """To the end of its work."""
        self.stands = False
        self._go_on.put(True)
        assert self._ended.get(timeout=LONG)

    def kill(self, server: psycopg.Connection[Any]) -> None:
        """Where it stands; returns when its backends have ended, and with them their transactions."""
        backends = [connection.info.backend_pid for connection in self._connections if not connection.closed]
        for connection in self._connections:
            connection.close()
        wait_until(lambda: not server.execute(END_BACKENDS, [backends]).fetchall(), pause=0.001)
        self.killed, self.stands = True, False
        self._go_on.put(False)
        assert self._ended.get(timeout=LONG)
        self.close()

    def close(self) -> None:
        self._engine.dispose()
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _connect(self, dialect: object, record: object, args: list[Any], options: dict[str, Any]) -> Connection:
        given = "-c lock_timeout=20ms -c synchronous_commit=off"
        options = {**options, "options": given, "cursor_factory": Cursor}
        connection = Connection.connect(*args, **options)
        connection.reached = self._reached
        self._connections.append(connection)
        return connection

    def _reached(self, place: int) -> None:
        if not self.killed:
            self._count += 1
            if self._place != NOWHERE and self._place in (self._count, place):
                self._place = NOWHERE
                self._ended.put(False)
                self._go_on.get(timeout=LONG)
        if self.killed:
            raise Killed

    def _work(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # whatever it is, it is for the one who waits
            self.error = error
        self._ended.put(True)


@contextmanager
def processes(database_url: str, number: int) -> Iterator[list[Process]]:
    started = [Process(database_url) for _ in range(number)]
    yield started
    for process in started:
        process.close()
