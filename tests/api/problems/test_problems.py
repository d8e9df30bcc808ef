"""Every refusal is a problem document that says what is wrong, and changes nothing."""

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.projection.project import project
from core.read_models.wiring import PROJECTORS
from tests.support.calls import (
    BEFORE,
    CHANGES,
    COMMAND_OPERATIONS,
    COMMANDS,
    example_path,
    faults,
    nothing_stored,
    order_after,
    order_in,
    place,
    problem,
    read,
    send,
    show_everything,
)
from webapp.operations import OPERATIONS
from webapp.problems.catalogue import PROBLEMS
from webapp.problems.error_handlers import answer

STATUSES = ["pending", "confirmed", "shipped", "cancelled"]
NEED_A_BODY = [command for command, operation in COMMAND_OPERATIONS.items() if operation.body_required]

# Clients may have written these down, so a slug is never changed or removed.
SLUGS = {
    "not-json": 400,
    "bad-request": 400,
    "key-required": 401,
    "scope-required": 403,
    "only-for-this-machine": 403,
    "not-for-other-sites": 403,
    "invalid-header": 400,
    "not-found": 404,
    "order-not-found": 404,
    "no-such-version": 404,
    "no-such-position": 404,
    "not-placed-yet": 404,
    "webhook-not-found": 404,
    "event-not-found": 404,
    "method-not-allowed": 405,
    "refused-by-status": 409,
    "too-many-items": 409,
    "too-many-webhooks": 409,
    "concurrent-change": 409,
    "order-already-placed": 409,
    "cursor-of-another-log": 410,
    "order-has-moved-on": 412,
    "request-timeout": 408,
    "content-too-large": 413,
    "unsupported-media-type": 415,
    "invalid-request": 422,
    "too-many-requests": 429,
    "idempotency-key-reused": 422,
    "internal-error": 500,
    "database-away": 503,
    "database-busy": 503,
    "event-unknown": 503,
    "not-ready": 503,
    "read-model-behind": 503,
    "too-many-streams": 503,
}


# Pages about the problems.


def test_each_problem_type_leads_to_a_page_about_it(client: FlaskClient) -> None:
    for slug, status in SLUGS.items():
        page = client.get(f"/problems/{slug}")
        assert page.status_code == 200, slug
        assert page.content_type == "text/plain; charset=utf-8"
        title, _, meaning = page.text.partition("\n\n")
        assert title.endswith(f" ({status})"), slug
        assert len(meaning) > len(" ."), slug


def test_a_page_has_the_title_of_its_problem(client: FlaskClient) -> None:
    document = problem(client.get("/orders/ORDER-404"), 404, "order-not-found")

    assert client.get(document["type"]).text.startswith(f"{document['title']} (404)\n")


def test_no_problem_is_unlisted() -> None:
    assert {problem.slug: problem.status for problem in PROBLEMS.values()} == SLUGS


def test_the_documentation_lists_exactly_these_problems(project_root: Path) -> None:
    page = (project_root / "docs" / "api.md").read_text()
    rows = re.findall(r"^\| ([45]\d\d) \|(.*)\|$", page, re.MULTILINE)

    listed = {(slug, int(status)) for status, text in rows for slug in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", text)}
    assert listed == set(SLUGS.items())


@pytest.mark.parametrize("slug", SLUGS)
def test_the_example_of_a_problem_is_an_error_that_becomes_it(app: Flask, slug: str) -> None:
    example = PROBLEMS[slug].example
    with app.test_request_context():
        answered = answer(example)

    assert answered.status_code == SLUGS[slug]
    assert answered.get_json() == PROBLEMS[slug].document(example)
    assert PROBLEMS[slug].model.model_validate(answered.get_json(), extra="forbid")


# 400, 413, 415: bodies that are not read.


def test_a_body_that_is_not_json_says_where(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = place(client)
    with nothing_stored(sessions):
        for path, _ in COMMANDS.values():
            answer = client.post(path.format(order_id), data=b'{"a":\n oops}', content_type="application/json")
            assert "line 2 column 2" in problem(answer, 400, "not-json")["detail"]


def test_a_command_that_needs_a_body_says_so(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = place(client)
    with nothing_stored(sessions):
        for command in NEED_A_BODY:
            path = COMMANDS[command][0].format(order_id)
            problem(client.post(path, content_type="application/json"), 400, "not-json")
            problem(client.post(path), 415, "unsupported-media-type")


def test_a_body_may_be_as_long_as_good_values_need(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    for command, (path, body) in COMMANDS.items():
        limit = COMMAND_OPERATIONS[command].largest_body
        order_id = order_after(client, *BEFORE[command])
        document = client.application.json.dumps(body).encode()
        with nothing_stored(sessions):
            for size in (limit + 1, limit + 2, 1024 * 1024):
                answer = client.post(path.format(order_id), data=document.ljust(size), content_type="application/json")
                assert f" {limit} bytes" in problem(answer, 413, "content-too-large")["detail"]
        full = client.post(path.format(order_id), data=document.ljust(limit), content_type="application/json")
        assert full.status_code in (200, 201), command


def test_a_body_must_be_announced_as_json_in_utf8(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = order_after(client, "add_item")
    types = [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/problem+json",
        "application/json; charset=shift_jis",
        "application/json; charset=utf-16",
        "application/jsonp",
        "json",
        ";",
        "山田",
    ]
    with nothing_stored(sessions):
        for path, body in COMMANDS.values():
            document = client.application.json.dumps(body).encode()
            for content_type in types:
                answer = client.post(path.format(order_id), data=document, content_type=content_type)
                assert "application/json" in problem(answer, 415, "unsupported-media-type")["detail"], content_type


# 404, 405: places and methods that are not there.


def test_an_unknown_order_is_not_found(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    with nothing_stored(sessions):
        assert "ORDER-404" in problem(client.get("/orders/ORDER-404"), 404, "order-not-found")["detail"]
        for command in CHANGES:
            assert "ORDER-404" in problem(send(client, command, "ORDER-404"), 404, "order-not-found")["detail"]


def test_an_unknown_route_is_not_found(client: FlaskClient) -> None:
    for path in ("/order", "/orders/", "/orders/ORDER-001/", "/orders//confirm", "/orders/status/", "/problems/x"):
        problem(client.get(path), 404, "not-found")
    problem(client.post("/orders/ORDER-001/refund", json={}), 404, "not-found")
    problem(client.post("/orders/ORDER-001/confirm/", json={}), 404, "not-found")


def test_a_wrong_method_is_answered_with_the_right_ones(client: FlaskClient) -> None:
    allowed: dict[str, set[str]] = {}
    for operation in OPERATIONS:
        path = example_path(operation)
        methods = {"GET", "HEAD"} if operation.method == "get" else {operation.method.upper()}
        allowed[path] = allowed.get(path, {"OPTIONS"}) | methods
    for path, methods in allowed.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FROB"} - methods:
            answer = client.open(path, method=method)
            problem(answer, 405, "method-not-allowed")
            assert set(answer.headers["Allow"].split(", ")) == methods, (method, path)


# 409: the order's state; a lost race is in test_concurrency.py.

REFUSED = {
    "add_item": ["confirmed", "shipped", "cancelled"],
    "confirm_order": ["pending", "confirmed", "shipped", "cancelled"],  # this pending order is empty
    "cancel_order": ["shipped", "cancelled"],
    "ship_order": ["pending", "shipped", "cancelled"],
}


def test_a_refusal_says_which_state_the_order_is_in(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    orders = {status: order_in(client, status) for status in STATUSES}
    with nothing_stored(sessions):
        for command, statuses in REFUSED.items():
            for status in statuses:
                document = problem(send(client, command, orders[status]), 409, "refused-by-status")
                assert document["order_status"] == status
                assert f"Order {orders[status]} is {status}" in document["detail"]


def test_every_other_state_takes_the_command(client: FlaskClient) -> None:
    for command, refused in REFUSED.items():
        for status in set(STATUSES) - set(refused):
            assert send(client, command, order_in(client, status)).status_code == 200, (command, status)
    assert send(client, "confirm_order", order_after(client, "add_item")).status_code == 200


def test_an_order_without_items_is_told_apart_from_one_in_the_wrong_state(client: FlaskClient) -> None:
    assert "no items" in problem(send(client, "confirm_order", place(client)), 409, "refused-by-status")["detail"]


def test_an_empty_entity_tag_matches_no_version(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    """Schemathesis found it: Werkzeug hands an empty tag on as None."""
    path, body = COMMANDS["add_item"]
    order_id = place(client)
    with nothing_stored(sessions):
        for tag in ('""', 'W/"2", ""'):
            answer = client.post(path.format(order_id), json=body, headers={"If-Match": tag})
            assert problem(answer, 412, "order-has-moved-on")["version"] == 1


# 422: all wrong values at once.


def test_all_wrong_fields_are_named_at_once(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = place(client)
    with nothing_stored(sessions):
        for path, right in COMMANDS.values():
            body = dict.fromkeys([*right, "note", "colour"])
            answer = client.post(path.format(order_id), json=body)
            assert set(faults(answer)) == {f"#/{field}" for field in body}
            assert f"{len(body)} values are wrong" in problem(answer, 422, "invalid-request")["detail"]


@pytest.mark.parametrize(("number", "told"), [(100, "see errors"), (102, "errors has the first 100")])
def test_a_hundred_faults_are_listed_and_all_are_counted(client: FlaskClient, number: int, told: str) -> None:
    """Both required fields are missing, the others unknown."""
    answer = client.post("/orders", json={f"field {n}": n for n in range(number - 2)})

    unknown = [f"#/field%20{n}" for n in range(98)]
    assert list(faults(answer)) == ["#/customer_name", "#/total_amount", *unknown]
    assert answer.get_json(force=True)["detail"] == f"{number} values are wrong; {told}."
    assert len(answer.data) < 10_000


def test_all_missing_fields_are_named_at_once(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = place(client)
    with nothing_stored(sessions):
        for command in NEED_A_BODY:
            path, body = COMMANDS[command]
            answer = client.post(path.format(order_id), json={})
            assert faults(answer) == {f"#/{field}": "is required" for field in body}


def test_repeated_keys_are_named_beside_the_other_faults(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    body = b'{"customer_name": "a", "customer_name": "a", "total_amount": 0, "total_amount": 0, "x": 1, "x": 1}'

    with nothing_stored(sessions):
        answer = client.post("/orders", data=body, content_type="application/json")

    document = problem(answer, 422, "invalid-request")
    assert [(error["pointer"], error["detail"]) for error in document["errors"]] == [
        ("#/customer_name", "is given more than once"),
        ("#/total_amount", "is given more than once"),
        ("#/x", "is given more than once"),
        ("#/total_amount", "must be greater than 0"),
        ("#/x", "is not a known field"),
    ]


def test_a_body_that_is_no_object_is_pointed_at_as_a_whole(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    order_id = order_after(client, "add_item")
    with nothing_stored(sessions):
        for path, _ in COMMANDS.values():
            for body in (b"null", b"[]", b"[{}]", b'"{}"', b"1", b"true"):
                answer = client.post(path.format(order_id), data=body, content_type="application/json")
                assert faults(answer) == {"#": "must be a JSON object"}, (path, body)


def test_pointers_are_uri_fragments_of_json_pointers(client: FlaskClient) -> None:
    """RFC 6901, section 6."""
    pointers = {"a/b": "#/a~1b", "m~n": "#/m~0n", "%": "#/%25", " ": "#/%20", "": "#/", "値": "#/%E5%80%A4"}

    answer = client.post("/orders", json={"customer_name": "x", "total_amount": 1, **dict.fromkeys(pointers, 1)})

    assert faults(answer) == dict.fromkeys(pointers.values(), "is not a known field")


def test_a_value_is_checked_before_the_order_is_looked_for(client: FlaskClient) -> None:
    assert "#/reason" in faults(send(client, "cancel_order", "ORDER-404", reason=""))


# 500: faults of our own.


def test_a_fault_of_the_service_shows_no_insides(
    client: FlaskClient, sessions: sessionmaker[Session], caplog: pytest.LogCaptureFixture
) -> None:
    """A stored event without its data."""
    order_id = place(client)
    with sessions.begin() as session:
        session.execute(
            text("""
                INSERT INTO events
                    (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
                VALUES (:order_id, 'Order', 2, 'OrderItemAdded', '{}', '{"schema_version": 1}', now())
            """),
            {"order_id": order_id},
        )

    with nothing_stored(sessions):
        answer = send(client, "add_item", order_id)

    document = problem(answer, 500, "internal-error")
    assert set(document) == {"type", "title", "status", "detail"}
    for inside in ("Traceback", "File ", ".py", "KeyError", "added_at", "product_name", "SELECT"):
        assert inside not in answer.text
    assert "KeyError" in caplog.text  # the log has what the answer has not


# 503: read models that are behind; the database is in test_database_away.py.


def test_an_order_that_is_stored_but_not_shown_is_behind(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = place(client)

    answer = client.get(f"/orders/{order_id}")

    assert order_id in problem(answer, 503, "read-model-behind")["detail"]
    assert answer.headers["Retry-After"] == "1"
    project(sessions, PROJECTORS["summary"], [order_id])  # the other read model
    problem(client.get(f"/orders/{order_id}"), 503, "read-model-behind")
    show_everything(sessions)
    assert read(client.get(f"/orders/{order_id}"))["version"] == 1
