"""An order as it was: exactly what GET said of it at that version and at that time."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing.postgres_store import PostgresEventStore
from core.orders.commands import OrderCommand
from tests.support.calls import LAPTOP, MICE, faults, place, problem, read, send, show_everything
from tests.support.examples import ADD_LAPTOP, CANCEL, CONFIRM, LAPTOP_ADDED, MICE_ADDED, NOON, ORDER_ID, PLACE, PLACED
from tests.support.streams import append, handle
from webapp.operations import OPERATIONS

LIVES = {
    "shipped": [("add_item", LAPTOP), ("add_item", MICE), ("confirm_order", {}), ("ship_order", {})],
    "cancelled": [("add_item", LAPTOP), ("cancel_order", {})],
    "cancelled after confirming": [("add_item", MICE), ("confirm_order", {}), ("cancel_order", {})],
}


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_every_answer_can_be_had_again_by_version_and_by_time(
    client: FlaskClient, sessions: sessionmaker[Session], life: list[tuple[str, dict[str, Any]]]
) -> None:
    order_id = place(client)
    kept = []

    def keep() -> None:
        show_everything(sessions)
        answer = client.get(f"/orders/{order_id}")
        kept.append((now(), answer.text, answer.headers["ETag"]))

    keep()
    for command, fields in life:
        send(client, command, order_id, **fields)
        keep()

    assert len(kept) == len({text for _, text, _ in kept}) == len(life) + 1
    for version, (moment, text, tag) in enumerate(kept, start=1):
        for asked in (f"version={version}", f"as_of={moment}"):
            answer = client.get(f"/orders/{order_id}?{asked}")
            assert (answer.text, answer.headers["ETag"]) == (text, tag), asked


def test_an_event_has_happened_at_its_own_time_and_not_just_before(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    append(sessions, [PLACED])
    append(sessions, [LAPTOP_ADDED], after=1, occurred_at=LAPTOP_ADDED.added_at)

    for moment, version in (
        (PLACED.placed_at, 1),
        (LAPTOP_ADDED.added_at - timedelta(microseconds=1), 1),
        (LAPTOP_ADDED.added_at, 2),
    ):
        answer = client.get(f"/orders/{ORDER_ID}?as_of={quote(moment.isoformat())}")
        assert read(answer)["version"] == version, moment

    before = (PLACED.placed_at - timedelta(microseconds=1)).isoformat()
    document = problem(client.get(f"/orders/{ORDER_ID}?as_of={quote(before)}"), 404, "not-placed-yet")
    assert "2026-01-01T12:00:00" in document["detail"]


def test_the_past_needs_no_read_model(client: FlaskClient) -> None:
    order_id = place(client)

    assert read(client.get(f"/orders/{order_id}?version=1"))["version"] == 1
    assert read(client.get(f"/orders/{order_id}?as_of={now()}"))["version"] == 1


def test_times_of_an_order_never_run_backwards_though_clocks_differ(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    clocks: dict[OrderCommand, int] = {PLACE: 10, ADD_LAPTOP: 0, CONFIRM: 20, CANCEL: 15}
    for command, minutes in clocks.items():
        handle(sessions, command, at=NOON + timedelta(minutes=minutes))

    with sessions.begin() as session:
        stream = list(PostgresEventStore(driver_connection(session)).read_stream(ORDER_ID))
    assert [recorded.occurred_at for recorded in stream] == [NOON + timedelta(minutes=at) for at in (10, 10, 20, 20)]
    details = read(client.get(f"/orders/{ORDER_ID}?version=4"))
    assert details["confirmed_at"] == details["cancelled_at"] == "2026-01-01T12:20:00Z"


def test_versions_that_the_order_does_not_have(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED])

    for version in ("3", "999999999999999999"):
        document = problem(client.get(f"/orders/{ORDER_ID}?version={version}"), 404, "no-such-version")
        assert document["latest_version"] == 2
        for asked in (f"from=1&to={version}", f"from={version}&to=1"):
            problem(client.get(f"/orders/{ORDER_ID}/diff?{asked}"), 404, "no-such-version")
    for path in ("?version=1", f"?as_of={now()}", "/diff?from=1&to=1"):
        problem(client.get(f"/orders/ORDER-404{path}"), 404, "order-not-found")


@pytest.mark.parametrize("version", ["0", "-1", "1.0", "01", "", "one", "١", "1" * 19])
def test_what_is_no_version_is_refused(client: FlaskClient, version: str) -> None:
    for parameter in ("version", "min_version"):
        assert list(faults(client.get(f"/orders/{ORDER_ID}?{parameter}={version}"))) == [f"#/{parameter}"]
    assert list(faults(client.get(f"/orders/{ORDER_ID}/diff?from={version}&to={version}"))) == ["#/from", "#/to"]
    assert list(faults(client.get(f"/orders?min_position={version}"))) == ["#/min_position"]


WITH_A_TIME = [
    operation.path.format(order_id=ORDER_ID, status="pending")
    for operation in OPERATIONS
    if operation.query is not None and "as_of" in operation.query.model_fields
]
TIMES = ["", "yesterday", "2026-01-01", "2026-01-01T12:00:00", "2026-13-01T12:00:00Z", "2026-01-01T12:00:00+09:00"]


@pytest.mark.parametrize("path", WITH_A_TIME)
def test_what_is_no_time_or_lies_ahead_is_refused(client: FlaskClient, path: str) -> None:
    for moment in TIMES:  # the last has a "+", which is a space in a query
        assert list(faults(client.get(f"{path}?as_of={moment}"))) == ["#/as_of"], moment
    for moment in ("9999-12-31T23:59:59Z", (datetime.now(UTC) + timedelta(minutes=1)).isoformat()):
        assert "future" in faults(client.get(f"{path}?as_of={quote(moment)}"))["#/as_of"], moment


def test_a_time_may_have_more_digits_than_are_kept(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED])
    append(sessions, [LAPTOP_ADDED], after=1, occurred_at=LAPTOP_ADDED.added_at)
    show_everything(sessions)

    for moment in ("2026-01-01T12:00:00.0000000Z", "2026-01-01t12:00:59.999999999z", "2026-01-01T12:00:00.1234567Z"):
        for path in ("/orders", "/orders/status/pending", "/orders/statistics"):
            assert client.get(f"{path}?as_of={moment}").status_code == 200, path
        assert read(client.get(f"/orders/{ORDER_ID}?as_of={moment}"))["version"] == 1


def test_one_past_at_a_time(client: FlaskClient) -> None:
    for query in ("version=1&min_version=1", f"version=1&as_of={now()}", f"min_version=1&as_of={now()}"):
        [(pointer, detail)] = faults(client.get(f"/orders/{ORDER_ID}?{query}")).items()
        assert pointer == "#"
        assert "one of" in detail


def test_a_difference_goes_either_way(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED, MICE_ADDED])

    def diff(from_version: int, to_version: int) -> dict[str, tuple[Any, Any]]:
        document = read(client.get(f"/orders/{ORDER_ID}/diff?from={from_version}&to={to_version}"))
        assert {name: document[name] for name in ("order_id", "from_version", "to_version")} == {
            "order_id": ORDER_ID,
            "from_version": from_version,
            "to_version": to_version,
        }
        return {change["field"]: (change["before"], change["after"]) for change in document["changes"]}

    there, back = diff(1, 3), diff(3, 1)
    assert there["items_total"] == (0, 83000)
    assert set(there) == {"items_total", "items/0", "items/1"}
    assert there["items/1"][1]["product_name"] == "マウス"
    assert back == {name: (after, before) for name, (before, after) in there.items()}
    assert diff(2, 2) == {}
    assert set(diff(2, 3)) == {"items_total", "items/1"}
    assert list(faults(client.get(f"/orders/{ORDER_ID}/diff"))) == ["#/from", "#/to"]
