"""Every event of every life of an order: in the details, in the past, in differences and in the audit trail."""

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.codec import encode
from core.orders.events import OrderEvent, sentence
from tests.support.calls import BEFORE, CHANGES, COMMANDS, order_after, read
from tests.support.lives import EVERY_EVENT, EVERY_LIFE
from tests.support.read_side import project_all, rows
from tests.support.rebuilding import assert_equal_to_events
from tests.support.streams import append

Lives = dict[str, tuple[OrderEvent, ...]]


@pytest.fixture
def lives(sessions: sessionmaker[Session]) -> Lives:
    """One order for each life that does not merely begin another, by its id."""
    whole = [life for name, life in EVERY_LIFE.items() if not any(f"{name}," in other for other in EVERY_LIFE)]
    ids = (f"ORDER-{number:03}" for number in range(len(whole)))
    return {
        order_id: tuple(replace(event, order_id=order_id) for event in life)
        for order_id, life in zip(ids, whole, strict=True)
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs between two documents of an order, but its version, under the names that differences have."""
    found = {name: (before[name], after[name]) for name in before if name not in ("items", "version")}
    old, new = ({item["version"]: item for item in document["items"]} for document in (before, after))
    for number, version in enumerate(sorted(old.keys() | new.keys())):
        found[f"items/{number}"] = (old.get(version), new.get(version))
    return {name: (was, now) for name, (was, now) in found.items() if was != now}


def told(changes: list[dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
    return {change["field"]: (change["before"], change["after"]) for change in changes}


def test_the_commands_lead_to_every_event(client: FlaskClient) -> None:
    stored = set()
    for command in COMMANDS:
        order_id = order_after(client, *BEFORE[command], *([command] if command in CHANGES else []))
        stored |= {entry["event_type"] for entry in read(client.get(f"/orders/{order_id}/events"))["events"]}

    assert stored == {encode(event).event_type for event in EVERY_EVENT}


def test_each_version_is_shown_the_same_from_rows_and_from_events(
    client: FlaskClient, sessions: sessionmaker[Session], lives: Lives
) -> None:
    for order_id, life in lives.items():
        shown = []
        for after, event in enumerate(life):
            append(sessions, [event], order_id=order_id, after=after)
            project_all(sessions, order_id)
            shown.append(client.get(f"/orders/{order_id}").text)
        past = [client.get(f"/orders/{order_id}?version={version}").text for version in range(1, len(life) + 1)]

        assert len(set(shown)) == len(life), life
        assert shown == past, life

    assert_equal_to_events(sessions)


def test_projected_at_once_the_rows_are_those_projected_one_by_one(
    sessions: sessionmaker[Session], lives: Lives
) -> None:
    for order_id, life in lives.items():
        for after, event in enumerate(life):
            append(sessions, [event], order_id=order_id, after=after)
            project_all(sessions, order_id)
    one_by_one = rows(sessions)
    for order_id, life in lives.items():
        append(sessions, life, order_id=f"at once {order_id}")

    project_all(sessions, *(f"at once {order_id}" for order_id in lives))

    for table, found in rows(sessions).items():
        at_once = [row for row in found if row[0].startswith("at once ")]
        assert at_once == [(f"at once {row[0]}", *row[1:]) for row in one_by_one[table]]


def test_each_event_tells_what_it_changed(client: FlaskClient, sessions: sessionmaker[Session], lives: Lives) -> None:
    for order_id, life in lives.items():
        path = f"/orders/{order_id}"
        append(sessions, life, order_id=order_id)
        versions = [read(client.get(f"{path}?version={version}")) for version in range(1, len(life) + 1)]
        entries = read(client.get(f"{path}/events"))["events"]

        assert [(entry["event_type"], entry["sentence"]) for entry in entries] == [
            (encode(event).event_type, sentence(event)) for event in life
        ]
        for before, entry in enumerate(entries[1:], start=1):
            expected = changed(versions[before - 1], versions[before])
            assert expected, f"{entry['event_type']} changes nothing that is shown"
            assert told(entry["changes"]) == expected, life
            whole = read(client.get(f"{path}/diff?from={before}&to={len(life)}"))["changes"]
            assert told(whole) == changed(versions[before - 1], versions[-1]), life
