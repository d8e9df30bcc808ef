"""The log in files: a line of JSON per event, to keep elsewhere or to move in with.

An export is in the order in which followers read the log, so that a log that has moved is read in the same order. It
begins with the number of its events: a file that was cut off is not taken for a whole one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import IO, Any, NamedTuple

from psycopg import Connection, IsolationLevel
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core.database import driver_connection, is_pooled
from core.event_sourcing.codec import UnknownEventType, decode
from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.facts import carry_out, read_fact, require_written
from core.event_sourcing.lines import LONGEST_LINE, incoming_row
from core.event_sourcing.streams import BrokenStream, require_next
from core.orders.errors import InvalidValue, OrderError
from core.orders.order import Order, asked_for

PAGE = 5000  # events
MOST_FAULTS = 20

CONTENT = ("type", "data", "metadata", "occurred_at")

EXPORT = """
    SELECT json_build_object(
        'order_id', aggregate_id, 'version', version, 'type', event_type,
        'schema_version', metadata -> 'schema_version', 'data', event_data,
        'metadata', metadata - 'schema_version', 'occurred_at', occurred_at
    )::text
    FROM events ORDER BY epoch, transaction_id, position
"""

INCOMING = """
    CREATE TEMPORARY TABLE incoming (
        line bigint, order_id text, version integer, event_type text, event_data jsonb, metadata jsonb,
        occurred_at timestamptz
    )
"""

# Each order's events in the log before those of the file; line 0 is the log.
MERGED = """
    SELECT order_id, version, line, event_type, event_data, metadata, occurred_at FROM incoming
    UNION ALL
    SELECT aggregate_id, version, 0, event_type, event_data, metadata, occurred_at FROM events
    WHERE aggregate_id IN (SELECT order_id FROM incoming)
    ORDER BY order_id, version, line
"""

# The positions follow the lines.
APPEND = """
    INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
    SELECT order_id, 'Order', version, event_type, event_data, metadata, occurred_at FROM incoming
    WHERE NOT EXISTS (SELECT FROM events WHERE aggregate_id = order_id AND events.version = incoming.version)
    ORDER BY line
"""

Report = Callable[[int, int], None]  # how many events are done, and of how many; 0 if nobody knows


class Fault(NamedTuple):
    line: int
    sentence: str


class FileRefused(Exception):
    """The first faults of a file, by line; nothing of it was imported."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("The file has faults; nothing was imported.")
        self.faults = sorted(faults)


def export_events(session: Session, file: IO[bytes], report: Report) -> int:
    """Write all events there are at one moment; returns their number."""
    session.connection(execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})
    connection, done = driver_connection(session), 0
    (total,) = connection.execute("SELECT count(*) FROM events").fetchone() or (0,)
    file.write(b'{"events": %d}\n' % total)
    with connection.cursor("export") as rows:
        rows.execute(EXPORT)
        while page := rows.fetchmany(PAGE):
            file.write("".join(f"{line}\n" for (line,) in page).encode())
            done += len(page)
            report(done, total)
    return done


class NeedsDirectConnection(Exception):
    """A pooler gives each transaction another connection, and the lines wait in one."""

    def __init__(self) -> None:
        super().__init__("An import cannot go through a pooler: set DATABASE_DIRECT_URL to the database itself.")


class Import:
    """Takes a file into the log whole, or not at all: `read`, `check`, `append`, within `importing`.

    The lines wait in a temporary table, so that they may be many and in any order of orders. Only `append` holds up
    what reads settled events, and as long as it takes: no other step keeps a transaction that writes."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._faults: list[Fault] = []
        self.events = 0
        self.present = 0

    def read(self, file: IO[bytes], report: Report) -> None:
        """Raises FileRefused if so many lines are faulty that no more are looked at."""
        self._connection.execute(INCOMING)
        self._connection.commit()
        number, promised, rows = 0, 0, list[Sequence[Any]]()
        while line := file.readline(LONGEST_LINE):
            number += 1
            try:
                row = incoming_row(line)
            except InvalidValue as wrong:
                self._refuse(number, f"{wrong}.")
                if not line.endswith(b"\n"):  # the last, or the beginning of a longer one
                    break
                continue
            if isinstance(row, int):
                promised += row
            elif row:
                self.events += 1
                rows.append((number, *row))
            if len(rows) == PAGE:
                self._keep(rows)
                report(self.events, promised)
        self._keep(rows)
        report(self.events, promised)
        self._connection.execute("ANALYZE incoming")
        self._connection.commit()
        if not number:
            self._refuse(1, "The file is empty.")
        if promised and promised != self.events and not self._faults:
            self._refuse(1, f"{promised} events must follow, and {self.events} do: the file is not whole.")

    def check(self, report: Report) -> None:
        """Raises FileRefused, and UnknownEventType if the log holds what this release cannot read."""
        checked, said = 0, 0
        with self._connection.cursor("incoming") as merged:
            merged.itersize = PAGE
            merged.execute(MERGED)
            for _, rows in groupby(merged, lambda row: row[0]):
                checked += self._check_order(rows)
                if checked - said >= PAGE or checked == self.events:
                    said = checked
                    report(checked, self.events)
        if self._faults:
            raise FileRefused(self._faults)

    def append(self) -> None:
        """A command that has changed one of the orders since `check` began makes it raise UniqueViolation."""
        self._connection.execute(APPEND)
        self._connection.commit()

    def _keep(self, rows: list[Sequence[Any]]) -> None:
        with self._connection.cursor().copy("COPY incoming FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        self._connection.commit()  # the next lines may be long in coming
        rows.clear()

    def _check_order(self, rows: Iterable[Sequence[Any]]) -> int:
        """How many lines the order has; none is looked at after one that leaves its state unknown."""
        order, lines, last_line = Order(), 0, 0
        stored, before = None, None
        for order_id, version, line, *content in rows:
            event_type, data, metadata, occurred_at = content
            if line == 0:
                event = decode(event_type, metadata["schema_version"], data)
                order.replay([event])
                stored, before = content, (asked_for(event)[1], occurred_at)
                continue
            lines += 1
            if line < last_line:
                self._refuse(line, f"version {version} of order {order_id} must come before line {last_line}.")
            last_line = line
            if stored and version == order.version:
                self._compare(line, f"version {version} of order {order_id}", stored, content)
                continue
            stored = None
            try:
                event = read_fact(event_type, metadata["schema_version"], data)
                recorded = RecordedEvent(0, order_id, version, event, metadata, occurred_at)
                require_next(recorded, order.version)
            except (InvalidValue, UnknownEventType, BrokenStream) as fault:
                self._refuse(line, str(fault))
                return lines + sum(1 for _ in rows)
            try:
                order = carry_out(order, recorded, before)
                require_written(data, metadata["schema_version"], order.uncommitted_events.pop())
            except OrderError as refusal:
                self._refuse(line, str(refusal))
                if order.version < version:
                    order.replay([event])
            before = asked_for(event)[1], occurred_at
        return lines

    def _compare(self, line: int, name: str, stored: Sequence[Any], content: Sequence[Any]) -> None:
        differing = [key for key, one, other in zip(CONTENT, stored, content, strict=True) if one != other]
        if differing:
            self._refuse(line, f"{name} is in the log already, with another {' and '.join(differing)}.")
        else:
            self.present += 1

    def _refuse(self, line: int, sentence: str) -> None:
        """Raises FileRefused when there are enough."""
        self._faults.append(Fault(line, sentence[:1].upper() + sentence[1:].removesuffix(".") + "."))
        if len(self._faults) == MOST_FAULTS:
            raise FileRefused(self._faults)


@contextmanager
def importing(engine: Engine) -> Iterator[Import]:
    """An import that is undone if the block ends before `append`. Raises NeedsDirectConnection."""
    with Session(engine) as session:
        if is_pooled(session.connection()):
            raise NeedsDirectConnection
        connection = driver_connection(session)
        connection.isolation_level = IsolationLevel.REPEATABLE_READ  # `check` and `append` see the log at one moment
        try:
            yield Import(connection)
        finally:
            session.invalidate()  # closes the connection, and the temporary table goes with it
