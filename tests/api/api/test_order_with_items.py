"""An order may be placed with its items: in one append, or not at all; and it has room for so many."""

from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from tests.support.calls import (
    LAPTOP,
    MICE,
    accepted,
    faults,
    nothing_stored,
    order_after,
    place,
    problem,
    read,
    send,
    show_everything,
    stored_events,
)
from tests.support.hints import Queue
from tests.support.read_side import value

ITEMS = [LAPTOP, MICE]
KEY = {"Idempotency-Key": "with-items"}


def test_an_order_is_placed_with_its_items(client: FlaskClient, sessions: sessionmaker[Session], queue: Queue) -> None:
    answer = send(client, "place_order", "", items=ITEMS)

    order_id = read(answer)["order_id"]
    assert accepted(answer, order_id, version=3) == value(sessions, "SELECT max(position) FROM events")
    assert answer.headers["Location"] == f"/orders/{order_id}"
    assert queue.versions(order_id, expected=3) == [1, 2, 3]
    show_everything(sessions)
    shown = read(client.get(f"/orders/{order_id}?min_version=3"))
    assert [(item["version"], item["product_name"]) for item in shown["items"]] == [(2, "ノートPC"), (3, "マウス")]
    assert (shown["items_total"], shown["total_amount"], shown["status"]) == (83000, 83000, "pending")
    told = read(client.get(f"/orders/{order_id}/events"))["events"]
    assert len({event["causation_id"] for event in told}) == 1
    assert send(client, "confirm_order", order_id).status_code == 200


def test_a_hundred_items_are_one_append(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = read(send(client, "place_order", "", items=[LAPTOP] * 100))["order_id"]

    assert value(sessions, "SELECT count(DISTINCT xmin::text) FROM events") == 1
    assert read(send(client, "add_item", order_id))["version"] == 102


def test_sent_again_it_is_placed_once(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    first = send(client, "place_order", "", KEY, items=ITEMS)

    with nothing_stored(sessions):
        assert send(client, "place_order", "", KEY, items=ITEMS).data == first.data
        for others in (ITEMS[::-1], ITEMS[:1], []):
            problem(send(client, "place_order", "", KEY, items=others), 422, "idempotency-key-reused")


def test_no_items_and_none_given_are_the_same_request(client: FlaskClient) -> None:
    first = send(client, "place_order", "", KEY)

    assert send(client, "place_order", "", KEY, items=[]).data == first.data


def test_every_fault_of_every_item_is_told(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    items: list[Any] = [LAPTOP, {**MICE, "quantity": 0, "unit_price": -1}, 7, {"product_name": " ", "colour": "red"}]

    with nothing_stored(sessions):
        told = faults(send(client, "place_order", "", customer_name="", items=items))
    assert set(told) == {
        "#/customer_name",
        "#/items/1/quantity",
        "#/items/1/unit_price",
        "#/items/2",
        "#/items/3/product_name",
        "#/items/3/quantity",
        "#/items/3/unit_price",
        "#/items/3/colour",
    }
    assert told["#/items/2"] == "must be a JSON object"


def test_a_key_that_an_item_has_twice_is_told(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    twice = '{"product_name": "a", "quantity": 1, "unit_price": 1, "quantity": 0}'
    body = f'{{"customer_name": "a", "total_amount": 1, "items": [{twice}]}}'

    with nothing_stored(sessions):
        answer = client.post("/orders", data=body, content_type="application/json")
    assert answer.json
    assert [error["pointer"] for error in answer.json["errors"]] == ["#/items/0/quantity"] * 2


@pytest.mark.parametrize(
    ("items", "detail"),
    [
        ([LAPTOP] * 101, "must be at most 100 items"),
        (None, "must be a JSON array"),
        ({}, "must be a JSON array"),
        ("[]", "must be a JSON array"),
        (7, "must be a JSON array"),
    ],
)
def test_what_is_no_list_or_too_long_is_refused(
    client: FlaskClient, sessions: sessionmaker[Session], items: Any, detail: str
) -> None:
    with nothing_stored(sessions):
        assert faults(send(client, "place_order", "", items=items)) == {"#/items": detail}


def test_an_order_has_room_for_so_many_items(app: Flask, client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    app.config["MAX_ITEMS"] = 2

    order_id = order_after(client, "add_item", "add_item")
    with nothing_stored(sessions):
        refused = problem(send(client, "add_item", order_id), 409, "too-many-items")
        assert refused["max_items"] == 2
        problem(send(client, "place_order", "", items=[LAPTOP] * 3), 409, "too-many-items")
    assert send(client, "confirm_order", order_id).status_code == 200
    assert send(client, "place_order", "", items=ITEMS).status_code == 201


def test_the_last_item_may_be_sent_again(app: Flask, client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    """The order is full by then."""
    app.config["MAX_ITEMS"] = 1
    order_id = place(client)

    first = send(client, "add_item", order_id, KEY)

    assert send(client, "add_item", order_id, KEY).data == first.data
    assert stored_events(sessions) == 2


def test_an_amount_of_an_item_stays_exact(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    send(client, "place_order", "", items=[{**LAPTOP, "unit_price": Decimal("0.10"), "quantity": Decimal("3.0")}])

    data = value(sessions, "SELECT event_data FROM events WHERE version = 2")
    assert (data["unit_price"], data["quantity"]) == ("0.10", 3)
