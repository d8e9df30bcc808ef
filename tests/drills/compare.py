"""The journal against the store, and what is made of the events against a replay of the log."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.drills.compare_snapshots import SNAPSHOTS, wrong_snapshots
from tests.drills.compare_statistics import wrong_answers, wrong_counters
from tests.drills.journal import Acknowledgement, Journal
from tests.drills.replay import LoggedEvent, Replayed, replay
from tests.drills.rows import fields_that_differ, rows, rows_by

LOG = "SELECT aggregate_id, version, event_type, event_data FROM events ORDER BY aggregate_id, version"
SUMMARIES = "SELECT * FROM order_summary_read_models"
DETAILS = "SELECT * FROM order_details_read_models"
ITEMS = "SELECT * FROM order_item_read_models"

BEHIND = """
    SELECT count(*)
    FROM (SELECT aggregate_id AS order_id, max(version) AS version FROM events GROUP BY aggregate_id) AS stored
    LEFT JOIN order_summary_read_models AS summary USING (order_id)
    LEFT JOIN order_details_read_models AS details USING (order_id)
    WHERE summary.version IS DISTINCT FROM stored.version OR details.version IS DISTINCT FROM stored.version
"""


@dataclass(slots=True)
class Findings:
    """Each finding is a line that names the order; the drill passes when there is none.

    `lost`: acknowledged, but not stored once as the version that was acknowledged. `unasked`: stored without such a
    command, or twice. `gaps`: versions that are missing. `duplicated`: an item, or a sum of them, that shows more
    than the events say. `differences`: any other field or row of a read model that is not as replayed.
    `statistics`: a count or sum of all orders that is not as counted. `snapshots`: one that is not as replayed."""

    stored: int = 0
    snapshots_compared: int = 0
    lost: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    statistics: list[str] = field(default_factory=list)
    snapshots: list[str] = field(default_factory=list)

    @property
    def by_kind(self) -> dict[str, list[str]]:
        """As reports call them."""
        return {
            "lost": self.lost,
            "stored but never asked for": self.unasked,
            "gaps in versions": self.gaps,
            "duplicated effects": self.duplicated,
            "read-model differences": self.differences,
            "wrong statistics": self.statistics,
            "wrong snapshots": self.snapshots,
        }


def orders_behind(connection: psycopg.Connection[Any]) -> int:
    """The orders that one of the read models does not show as of their last event."""
    row = connection.execute(BEHIND).fetchone()
    assert row is not None
    return int(row[0])


def compare(
    connection: psycopg.Connection[Any], journal: Journal, answers: Iterable[Mapping[str, Any]] = ()
) -> Findings:
    """`answers` are what clients have just been told of the statistics."""
    log = _log(connection)
    findings = Findings(stored=len(log))
    _compare_journal(log, journal, findings)
    expected = replay(log)
    _compare_headers("summary", rows_by("order_id", connection, SUMMARIES), expected, findings)
    _compare_details(connection, rows_by("order_id", connection, DETAILS), expected, findings)
    findings.statistics += wrong_counters(connection, expected.values())
    findings.statistics += wrong_answers(answers, expected.values())
    _compare_snapshots(connection, log, findings)
    return findings


def compare_as_shown(connection: psycopg.Connection[Any]) -> Findings:
    """Each row with the events up to the version that it shows. What is not shown yet is no finding, nor counted."""
    log = _log(connection)
    summaries, details = (rows_by("order_id", connection, query) for query in (SUMMARIES, DETAILS))
    findings = Findings(stored=len(log))
    as_listed = replay(_up_to(summaries, log))
    _compare_headers("summary", summaries, as_listed, findings)
    _compare_details(connection, details, replay(_up_to(details, log)), findings)
    findings.statistics += wrong_counters(connection, as_listed.values())
    _compare_snapshots(connection, log, findings)
    return findings


def _log(connection: psycopg.Connection[Any]) -> list[LoggedEvent]:
    return [LoggedEvent(*row.values()) for row in rows(connection, LOG)]


def _up_to(shown: Mapping[str, dict[str, Any]], log: list[LoggedEvent]) -> list[LoggedEvent]:
    return [each for each in log if each.order_id in shown and each.version <= shown[each.order_id]["version"]]


def _compare_journal(log: list[LoggedEvent], journal: Journal, findings: Findings) -> None:
    stored: dict[str, list[Acknowledgement]] = defaultdict(list)
    for event in log:
        stored[event.tag].append(Acknowledgement(event.order_id, event.version))
    for tag, acknowledged in journal.acknowledged.items():
        if acknowledged not in stored[tag]:
            findings.lost.append(f"{tag}: {acknowledged} is not stored")
    for tag, places in stored.items():
        if len(places) > 1 or (places and tag not in journal.acknowledged and tag not in journal.unknown):
            findings.unasked.append(f"{tag}: stored as {places}")
    last = {event.order_id: event.version for event in log}
    for order_id, events in Counter(event.order_id for event in log).items():
        if last[order_id] != events:
            findings.gaps.append(f"{order_id}: {events} events up to version {last[order_id]}")


def _items_by_order(connection: psycopg.Connection[Any]) -> dict[str, dict[int, dict[str, Any]]]:
    items: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for row in rows(connection, ITEMS):
        items[row.pop("order_id")][row.pop("version")] = row
    return items


def _compare_headers(
    name: str, shown: Mapping[str, dict[str, Any]], expected: Mapping[str, Replayed], findings: Findings
) -> None:
    for order_id in shown.keys() | expected.keys():
        header = expected[order_id].header if order_id in expected else {}
        for what in fields_that_differ(shown.get(order_id, {}), header):
            findings.differences.append(f"{name} of {order_id}: {what}")


def _compare_details(
    connection: psycopg.Connection[Any],
    shown: Mapping[str, dict[str, Any]],
    expected: Mapping[str, Replayed],
    findings: Findings,
) -> None:
    items = _items_by_order(connection)
    for order_id in shown.keys() | items.keys():
        sum_shown = shown.get(order_id, {}).pop("items_total", None)
        _compare_items(order_id, sum_shown, items.get(order_id, {}), expected.get(order_id), findings)
    _compare_headers("details", shown, expected, findings)


def _compare_items(
    order_id: str, sum_shown: Any, shown: Mapping[int, dict[str, Any]], order: Replayed | None, findings: Findings
) -> None:
    expected = order.items if order else {}
    total = order.items_total if order else None
    surplus = Counter(item["product_name"] for item in shown.values())
    surplus.subtract(item["product_name"] for item in expected.values())
    findings.duplicated += [f"details of {order_id}: {name} {n} times more" for name, n in surplus.items() if n > 0]
    if sum_shown is not None and total is not None and sum_shown > total:
        findings.duplicated.append(f"details of {order_id}: items_total is {sum_shown}, not {total}")
    elif sum_shown != total:
        findings.differences.append(f"details of {order_id}: items_total is {sum_shown}, not {total}")
    for version, item in expected.items():
        for what in fields_that_differ(shown.get(version, {}), item):
            findings.differences.append(f"details of {order_id}: item {version}: {what}")


def _compare_snapshots(connection: psycopg.Connection[Any], log: list[LoggedEvent], findings: Findings) -> None:
    snapshots = rows_by("order_id", connection, SNAPSHOTS)
    findings.snapshots_compared = len(snapshots)
    findings.snapshots += wrong_snapshots(snapshots, replay(_up_to(snapshots, log)))
