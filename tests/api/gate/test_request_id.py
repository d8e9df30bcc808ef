"""X-Request-Id: taken from the client or made, and the same in the answer, the event and its task."""

import json
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from tests.support.calls import COMMANDS, order_after, place, read
from tests.support.hints import Queue
from worker.task_logs import REQUEST_ID

BODY = COMMANDS["place_order"][1]


def metadata(sessions: sessionmaker[Session], order_id: str) -> list[dict[str, str]]:
    """Of the order's events."""
    query = text("SELECT metadata FROM events WHERE aggregate_id = :id ORDER BY version")
    with sessions.begin() as session:
        return list(session.scalars(query, {"id": order_id}))


@pytest.mark.parametrize("given", ["a", "~" * 128, "req-1/2;x=3", str(UUID(int=0))])
def test_an_id_that_will_do_is_kept(client: FlaskClient, given: str) -> None:
    assert client.get("/livez", headers={"X-Request-Id": given}).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "~" * 129, "a b", "é", "注文", "a\tb", "a,b"])
def test_any_other_is_replaced(client: FlaskClient, given: str) -> None:
    encoded = given.encode().decode("latin-1")  # as WSGI hands it over

    answered = client.get("/livez", environ_overrides={"HTTP_X_REQUEST_ID": encoded}).headers["X-Request-Id"]

    assert answered != encoded
    assert UUID(answered).version == 7


def test_each_request_without_one_gets_its_own(client: FlaskClient) -> None:
    first, second = (client.get("/livez").headers["X-Request-Id"] for _ in range(2))

    assert first != second
    assert UUID(first).version == 7


@pytest.mark.parametrize("path", ["/nowhere", "/orders/ORDER-404", "/orders?limit=0"])
def test_problems_carry_it_too(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"X-Request-Id": "of-a-problem"})

    assert answer.status_code >= 400
    assert answer.headers["X-Request-Id"] == "of-a-problem"


def test_it_is_the_correlation_id_of_the_event_and_a_header_of_the_task(
    client: FlaskClient, sessions: sessionmaker[Session], queue: Queue
) -> None:
    answer = client.post("/orders", json=BODY, headers={"X-Request-Id": "checkout-17"})
    order_id = read(answer)["order_id"]

    assert [each["correlation_id"] for each in metadata(sessions, order_id)] == ["checkout-17"]
    assert queue.versions(order_id, expected=1) == [1]
    [message] = queue.messages(order_id)
    assert json.loads(message)["headers"][REQUEST_ID] == "checkout-17"


def test_each_command_has_a_causation_id_of_its_own(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_ids = [order_after(client, "add_item", "confirm_order"), place(client)]

    causes = [each["causation_id"] for order_id in order_ids for each in metadata(sessions, order_id)]

    assert len(set(causes)) == len(causes) == 4
    assert all(UUID(cause).version == 7 for cause in causes)
