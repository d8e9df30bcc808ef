"""Each command stores one event, answers once it is committed, and tells the workers after that."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.database import driver_connection
from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.postgres_store import PostgresEventStore
from core.orders.events import OrderCancelled, OrderConfirmed, OrderEvent, OrderItemAdded, OrderPlaced, OrderShipped
from tests.support.calls import BEFORE, CHANGES, accepted, nothing_stored, order_after, place, problem, read, send
from tests.support.hints import Queue, body


def history(sessions: sessionmaker[Session], order_id: str) -> list[RecordedEvent]:
    with sessions.begin() as session:
        return list(PostgresEventStore(driver_connection(session)).read_stream(order_id))


def last_event(sessions: sessionmaker[Session], order_id: str) -> OrderEvent:
    return history(sessions, order_id)[-1].event


def test_placing_answers_with_what_was_stored_and_its_location(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    answer = client.post("/orders", json={"customer_name": "山田太郎", "total_amount": 83000})

    assert answer.status_code == 201
    order_id = read(answer)["order_id"]
    [recorded] = history(sessions, order_id)
    assert accepted(answer, order_id, version=1) == recorded.position
    assert UUID(order_id).version == 7
    assert answer.headers["Location"] == f"/orders/{order_id}"


def test_ids_grow_with_time(client: FlaskClient) -> None:
    placed = [place(client) for _ in range(5)]

    assert placed == sorted(set(placed))


def test_a_change_answers_with_the_next_version(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    for command in CHANGES:
        order_id = order_after(client, *BEFORE[command])
        answer = send(client, command, order_id)
        assert answer.status_code == 200
        position = accepted(answer, order_id, version=2 + len(BEFORE[command]))
        assert position == history(sessions, order_id)[-1].position
        assert "Location" not in answer.headers


def test_a_placed_order_is_stored_as_said(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = place(client, customer_name="山田太郎", total_amount=83000.5)

    [recorded] = history(sessions, order_id)
    assert isinstance(recorded.event, OrderPlaced)
    assert recorded.event == OrderPlaced(
        order_id=order_id,
        customer_name="山田太郎",
        total_amount=Decimal("83000.50"),
        placed_at=recorded.event.placed_at,
    )
    assert str(recorded.event.total_amount) == "83000.50"
    assert recorded.occurred_at == recorded.event.placed_at
    assert UUID(recorded.metadata["correlation_id"])


def test_an_added_item_is_stored_as_said(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = order_after(client, "add_item")

    added = last_event(sessions, order_id)
    assert isinstance(added, OrderItemAdded)
    assert (added.product_name, added.quantity, added.unit_price) == ("ノートPC", 1, Decimal("80000.00"))


def test_a_confirmation_is_stored(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = order_after(client, "add_item", "confirm_order")

    assert isinstance(last_event(sessions, order_id), OrderConfirmed)


@pytest.mark.parametrize("before", [(), ("add_item", "confirm_order")])
def test_a_cancellation_is_stored_with_its_reason(
    client: FlaskClient, sessions: sessionmaker[Session], before: tuple[str, ...]
) -> None:
    order_id = order_after(client, *before, "cancel_order")

    cancelled = last_event(sessions, order_id)
    assert isinstance(cancelled, OrderCancelled)
    assert cancelled.reason == "顧客都合"


def test_a_shipment_is_stored_with_its_tracking_number(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = order_after(client, "add_item", "confirm_order", "ship_order")

    shipped = last_event(sessions, order_id)
    assert isinstance(shipped, OrderShipped)
    assert shipped.tracking_number == "TRACK-12345678"


def test_a_free_item_and_large_values_are_accepted(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = place(client, customer_name="名" * 200, total_amount=Decimal("999999999999.99"))

    answer = send(client, "add_item", order_id, quantity=1_000_000, unit_price=0)

    assert answer.status_code == 200
    assert [recorded.version for recorded in history(sessions, order_id)] == [1, 2]
    added = last_event(sessions, order_id)
    assert isinstance(added, OrderItemAdded)
    assert (added.quantity, str(added.unit_price)) == (1_000_000, "0.00")


def test_confirming_needs_no_body(client: FlaskClient) -> None:
    requests: list[dict[str, Any]] = [{}, {"json": {}}, {"content_type": "application/json"}, {"content_type": "a/b"}]
    for request in requests:
        order_id = order_after(client, "add_item")
        answer = client.post(f"/orders/{order_id}/confirm", **request)
        assert answer.status_code == 200, request
        accepted(answer, order_id, version=3)


def test_json_may_be_announced_in_these_ways(client: FlaskClient) -> None:
    document = '{"customer_name": "山田太郎", "total_amount": 1}'.encode()

    for content_type in ("application/json", "application/json; charset=utf-8", 'Application/JSON; charset="UTF-8"'):
        assert client.post("/orders", data=document, content_type=content_type).status_code == 201, content_type


def test_an_amount_may_be_written_in_any_way_json_has(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    for number in ("1", "1.0", "1.00", "1.000", "1e0", "100e-2", "0.1E1"):
        document = f'{{"customer_name": "山田太郎", "total_amount": {number}}}'
        answer = client.post("/orders", data=document, content_type="application/json")
        assert answer.status_code == 201, number
        placed = last_event(sessions, read(answer)["order_id"])
        assert isinstance(placed, OrderPlaced)
        assert str(placed.total_amount) == "1.00", number


def test_versions_count_each_order_by_itself(client: FlaskClient) -> None:
    one, other = place(client), place(client)

    versions = [read(send(client, "add_item", order_id))["version"] for order_id in (one, one, other, one)]

    assert versions == [2, 3, 2, 4]


def test_a_command_shows_at_once_in_what_later_commands_may(client: FlaskClient) -> None:
    """The write side does not ask a read model; nothing has been projected here."""
    order_id = order_after(client, "add_item", "confirm_order")

    problem(send(client, "add_item", order_id), 409, "refused-by-status")


@pytest.mark.parametrize("life", [("add_item", "add_item", "confirm_order", "ship_order"), ("cancel_order",)])
def test_each_command_sends_one_hint(client: FlaskClient, queue: Queue, life: tuple[str, ...]) -> None:
    order_id = place(client)
    assert queue.versions(order_id, expected=1) == [1]

    for version, command in enumerate(life, start=2):
        send(client, command, order_id)
        assert queue.versions(order_id, expected=version) == list(range(1, version + 1)), command


def test_a_hint_is_json_and_carries_the_id_and_version_alone(client: FlaskClient, queue: Queue) -> None:
    order_id = place(client, customer_name="佐藤花子", total_amount=12345.67)
    send(client, "add_item", order_id, product_name="マウスパッド", quantity=4321, unit_price=98765)
    send(client, "cancel_order", order_id, reason="Lieferung zu teuer")
    assert queue.versions(order_id, expected=3) == [1, 2, 3]

    for version, message in enumerate(queue.messages(order_id), start=1):
        envelope = json.loads(message)
        assert envelope["content-type"] == "application/json"
        assert envelope["headers"]["task"] == "worker.tasks.project_event"
        assert envelope["headers"]["argsrepr"] == f"('{order_id}', {version})"
        arguments, named, options = body(message)
        assert arguments == [order_id, version]
        assert named == {}
        assert not any(options.values())
        everything = message + json.dumps(body(message), ensure_ascii=False) + json.dumps(envelope, ensure_ascii=False)
        for private in ("佐藤", "マウスパッド", "4321", "98765", "12345.67", "Lieferung", "\\u4f50"):
            assert private not in everything.replace(order_id, "")


def test_a_refused_command_sends_no_hint(client: FlaskClient, queue: Queue, sessions: sessionmaker[Session]) -> None:
    order_id = place(client)

    with nothing_stored(sessions):
        problem(send(client, "confirm_order", order_id), 409, "refused-by-status")
        problem(send(client, "add_item", order_id, quantity=0), 422, "invalid-request")

    send(client, "add_item", order_id)  # hints go out in turn, so any of the two above would lie before this one
    assert queue.versions(order_id, expected=2) == [1, 2]


@contextmanager
def connections_ending_at_commit(database_url: str) -> Iterator[None]:
    """Appending works, and then the server ends the connection while the transaction commits."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("""
            CREATE FUNCTION go_away() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$
        """)
        connection.execute("""
            CREATE CONSTRAINT TRIGGER goes_away AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION go_away()
        """)
        yield
        connection.execute("DROP TRIGGER goes_away ON events")


def test_an_event_that_was_not_committed_sends_no_hint(
    client: FlaskClient, queue: Queue, sessions: sessionmaker[Session], database_url: str
) -> None:
    order_id = place(client)

    with connections_ending_at_commit(database_url), nothing_stored(sessions):
        problem(send(client, "add_item", order_id), 503, "database-away")

    assert read(send(client, "add_item", order_id))["version"] == 2
    assert queue.versions(order_id, expected=2) == [1, 2]
