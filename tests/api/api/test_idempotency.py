"""A command may be sent again with the same Idempotency-Key: it is run once, and answered the same each time."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.postgres_store import PostgresEventStore
from core.idempotency import IdempotencyKey, Outcome
from local.servers import ValkeyServer
from tests.api.api.test_concurrency import at_once
from tests.support.calls import (
    BEFORE,
    COMMANDS,
    Answer,
    nothing_stored,
    order_after,
    place,
    problem,
    read,
    send,
    stored_events,
)
from tests.support.read_side import run, value
from tests.support.web_server import WebServer

AT_ONCE = 50
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def told(answer: Answer) -> tuple[Any, ...]:
    """All that a client learns, apart from whether it is a replay."""
    return answer.status_code, answer.data, answer.headers.get("Location"), answer.headers["ETag"]


def keys(sessions: sessionmaker[Session]) -> int:
    return int(value(sessions, "SELECT count(*) FROM idempotency_keys"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_answered_again_as_the_first_time(
    client: FlaskClient, sessions: sessionmaker[Session], command: str
) -> None:
    order_id = order_after(client, *BEFORE[command])
    first = send(client, command, order_id, KEY)
    assert first.status_code in (200, 201)
    assert "Idempotent-Replayed" not in first.headers

    with nothing_stored(sessions):
        for _ in range(2):
            again = send(client, command, order_id, KEY)
            assert told(again) == told(first)
            assert again.headers["Idempotent-Replayed"] == "true"


def test_without_a_key_or_with_another_a_command_is_run_again(client: FlaskClient) -> None:
    order_id = place(client)

    versions = [
        read(send(client, "add_item", order_id, headers))["version"]
        for headers in ({}, {}, {"Idempotency-Key": "a"}, {"Idempotency-Key": "b"})
    ]

    assert versions == [2, 3, 4, 5]


def test_the_first_answer_is_given_even_when_the_order_has_moved_on(client: FlaskClient) -> None:
    order_id = order_after(client, "add_item")
    first = send(client, "confirm_order", order_id, {**KEY, "If-Match": '"2"'})
    send(client, "ship_order", order_id)

    assert told(send(client, "confirm_order", order_id, {**KEY, "If-Match": '"2"'})) == told(first)


def test_the_same_values_are_the_same_body_however_they_are_written(client: FlaskClient) -> None:
    bodies = [
        '{"customer_name": "山田太郎", "total_amount": 1}',
        ' {"total_amount":1.00,"customer_name":"\\u5c71\\u7530太郎"}',
    ]

    answers = [
        client.post("/orders", data=body.encode(), content_type="application/json", headers=KEY) for body in bodies
    ]

    assert told(answers[0]) == told(answers[1])


def test_the_key_of_another_request_is_refused(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    one, other = place(client), place(client)
    first = send(client, "add_item", one, KEY)

    with nothing_stored(sessions):
        for command, order_id, fields in (
            ("add_item", one, {"quantity": 2}),
            ("add_item", other, {}),
            ("confirm_order", one, {}),
            ("place_order", "", {}),
        ):
            problem(send(client, command, order_id, KEY, **fields), 422, "idempotency-key-reused")

    assert told(send(client, "add_item", one, KEY)) == told(first)


def test_a_request_that_is_refused_leaves_its_key_free(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    order_id = place(client)

    problem(send(client, "add_item", order_id, KEY, quantity=0), 422, "invalid-request")
    problem(client.post("/orders", data=b"{", content_type="application/json", headers=KEY), 400, "not-json")
    problem(send(client, "add_item", "ORDER-404", KEY), 404, "order-not-found")
    problem(send(client, "confirm_order", order_id, KEY), 409, "refused-by-status")
    problem(send(client, "add_item", order_id, {**KEY, "If-Match": '"7"'}), 412, "order-has-moved-on")

    assert keys(sessions) == 0
    answer = send(client, "add_item", order_id, KEY)
    assert read(answer)["version"] == 2
    assert "Idempotent-Replayed" not in answer.headers


MALFORMED = [
    "",
    " ",
    "two words",
    '"',
    '""',
    '"open',
    "a\\b",
    'a"b',
    "schlüssel",
    "x" * 256,
    "a,b",
    "a, b",
    '"a","b"',
    ",",
]


@pytest.mark.parametrize("key", MALFORMED)
def test_a_key_that_is_malformed_is_refused(client: FlaskClient, sessions: sessionmaker[Session], key: str) -> None:
    with nothing_stored(sessions):
        answer = client.post("/orders", json=COMMANDS["place_order"][1], headers={"Idempotency-Key": key})

        assert "Idempotency-Key" in problem(answer, 400, "invalid-header")["detail"]


def test_a_key_may_be_a_string_of_structured_fields_or_bare(client: FlaskClient) -> None:
    assert send(client, "place_order", "", {"Idempotency-Key": '"a,b"'}).status_code == 201
    for key in ("!", "x" * 255, "order:2026/01"):
        first = send(client, "place_order", "", {"Idempotency-Key": key})
        assert told(send(client, "place_order", "", {"Idempotency-Key": f'"{key}"'})) == told(first)


def test_an_expired_key_counts_as_new(app: Flask, client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    app.config["IDEMPOTENCY_HOURS"] = 2
    first = send(client, "place_order", "", KEY)

    run(sessions, "UPDATE idempotency_keys SET created_at = now() - interval '119 minutes'")
    assert told(send(client, "place_order", "", KEY)) == told(first)

    run(sessions, "UPDATE idempotency_keys SET created_at = now() - interval '121 minutes'")
    later = send(client, "place_order", "", KEY, total_amount=1)
    assert "Idempotent-Replayed" not in later.headers
    assert read(later)["order_id"] != read(first)["order_id"]
    assert told(send(client, "place_order", "", KEY, total_amount=1)) == told(later)
    assert keys(sessions) == 1


@pytest.mark.parametrize("freed", [False, True], ids=["before it is freed", "once it is free"])
def test_of_two_with_an_expired_key_one_is_run(
    app: Flask, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch, freed: bool
) -> None:
    send(app.test_client(), "place_order", "", KEY)
    run(sessions, "UPDATE idempotency_keys SET created_at = now() - interval '2 years'")
    before, others = stored_events(sessions), list[Answer]()
    really_look = PostgresEventStore.outcome

    def let_another_be_first(store: PostgresEventStore, key: IdempotencyKey) -> Outcome | None:
        monkeypatch.undo()
        if freed:
            assert really_look(store, key) is None
        with ThreadPoolExecutor(1) as thread:
            others.append(thread.submit(send, app.test_client(), "place_order", "", KEY).result())
        return None if freed else really_look(store, key)

    monkeypatch.setattr(PostgresEventStore, "outcome", let_another_be_first)
    late = send(app.test_client(), "place_order", "", KEY)

    assert [told(other) for other in others] == [told(late)]
    assert late.headers["Idempotent-Replayed"] == "true"
    assert stored_events(sessions) == before + 1


@pytest.mark.parametrize("command", COMMANDS)
def test_of_many_at_once_one_is_run(app: Flask, sessions: sessionmaker[Session], command: str) -> None:
    order_id = order_after(app.test_client(), *BEFORE[command])
    before = stored_events(sessions)

    answers = at_once(app, [lambda client: send(client, command, order_id, KEY)] * 10)

    assert stored_events(sessions) == before + 1
    assert len({told(answer) for answer in answers}) == 1, [answer.text for answer in answers]
    assert Counter(answer.headers.get("Idempotent-Replayed") for answer in answers) == {"true": 9, None: 1}


def test_fifty_at_once_on_two_processes_place_one_order(
    database_url: str, valkey: ValkeyServer, tmp_path: Path, sessions: sessionmaker[Session]
) -> None:
    with WebServer(database_url, valkey.url, tmp_path / "web.log", processes=2) as web:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            sent = [threads.submit(send, web.client, "place_order", "", KEY) for _ in range(AT_ONCE)]
        answers = [each.result() for each in sent]

    assert stored_events(sessions) == 1
    assert len({told(answer) for answer in answers}) == 1
    assert answers[0].status_code == 201
    assert Counter(answer.headers.get("Idempotent-Replayed") for answer in answers) == {"true": AT_ONCE - 1, None: 1}


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """A process of tests/support/factories.py dies where it finds it."""
    return tmp_path / "die"


def place_on_a_dying_server(database_url: str, redis_url: str, flag: Path, app: str) -> Answer:
    """The answer to the retry; the first had none."""
    factory = f"tests.support.factories:{app}"
    with WebServer(database_url, redis_url, flag.parent / "web.log", app=factory, DIE=str(flag)) as web:
        flag.touch()
        with pytest.raises((HTTPException, OSError)):
            send(web.client, "place_order", "", KEY)
        assert not flag.exists()
        while True:  # until the process is there again
            with suppress(HTTPException, OSError):
                return send(web.client, "place_order", "", KEY)


def test_a_crash_between_commit_and_answer_leaves_the_first_result_to_the_retry(
    database_url: str, valkey: ValkeyServer, flag: Path, sessions: sessionmaker[Session]
) -> None:
    retried = place_on_a_dying_server(database_url, valkey.url, flag, "dies_after_commit")

    assert retried.headers["Idempotent-Replayed"] == "true"
    assert stored_events(sessions) == 1
    assert read(retried)["order_id"] == value(sessions, "SELECT aggregate_id FROM events")


def test_a_crash_before_the_commit_leaves_neither_event_nor_key(
    database_url: str, valkey: ValkeyServer, flag: Path, sessions: sessionmaker[Session]
) -> None:
    retried = place_on_a_dying_server(database_url, valkey.url, flag, "dies_before_commit")

    assert "Idempotent-Replayed" not in retried.headers
    assert stored_events(sessions) == keys(sessions) == 1


def test_a_commit_that_fails_leaves_neither_event_nor_key(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    run(
        sessions,
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$
        """,
        """
        CREATE CONSTRAINT TRIGGER refuses AFTER INSERT ON idempotency_keys DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse()
        """,
    )
    problem(send(client, "place_order", "", KEY), 503, "database-away")
    assert stored_events(sessions) == keys(sessions) == 0

    run(sessions, "DROP TRIGGER refuses ON idempotency_keys")
    assert "Idempotent-Replayed" not in send(client, "place_order", "", KEY).headers
