"""ETag, If-Match and If-None-Match: nobody overwrites a change that they have not seen, or fetches what they have."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from local.servers import ValkeyServer
from tests.api.api.test_concurrency import at_once, somebody_else_first
from tests.support.calls import (
    BEFORE,
    CHANGES,
    accepted,
    nothing_stored,
    order_after,
    place,
    problem,
    read,
    send,
    show_everything,
    stored_events,
)
from tests.support.examples import LAPTOP_ADDED
from tests.support.web_server import WebServer


def test_every_answer_about_an_order_has_its_version_as_its_tag(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    order_id = place(client)
    for version, command in enumerate(["add_item", "confirm_order", "ship_order"], start=2):
        assert send(client, command, order_id).headers["ETag"] == f'"{version}"'
    show_everything(sessions)

    assert client.get(f"/orders/{order_id}").headers["ETag"] == '"4"'
    assert client.head(f"/orders/{order_id}").headers["ETag"] == '"4"'
    assert client.get(f"/orders/{order_id}?version=2").headers["ETag"] == '"2"'


@pytest.mark.parametrize("command", CHANGES)
def test_a_command_for_this_version_is_run_and_for_another_it_is_not(
    client: FlaskClient, sessions: sessionmaker[Session], command: str
) -> None:
    order_id = order_after(client, *BEFORE[command])
    version = 1 + len(BEFORE[command])

    with nothing_stored(sessions):
        for stale in (version - 1, version + 1):
            answer = send(client, command, order_id, {"If-Match": f'"{stale}"'})
            assert problem(answer, 412, "order-has-moved-on")["version"] == version

    accepted(send(client, command, order_id, {"If-Match": f'"{version}"'}), order_id, version + 1)


# As Apache (AddSuffix, its default), Jetty and others write the tag of an answer that they compress.
COMPRESSED = ['"1-gzip"', 'W/"1-gzip"', '"1--gzip"', '"1-br"', '"1;br"', '"1-deflate"', '"1-zstd"']


@pytest.mark.parametrize(
    "tags",
    ["*", '"1"', '"7", "1"', '"x","1" , "2"', 'W/"1"', 'W/"7", W/"1"', '"1",', ' "1"\t', '"7",, "1"', *COMPRESSED],
)
def test_these_tags_match_version_1(client: FlaskClient, tags: str) -> None:
    order_id = place(client)

    accepted(send(client, "add_item", order_id, {"If-Match": tags}), order_id, version=2)


@pytest.mark.parametrize(
    "tags", ['"2"', 'W/"2"', '""', '"01"', '"1.0"', '"*"', '"+1"', '"9999999999999"', '"2-gzip"', '"1-"', '"1-2"']
)
def test_these_tags_match_no_version_1(client: FlaskClient, sessions: sessionmaker[Session], tags: str) -> None:
    order_id = place(client)

    with nothing_stored(sessions):
        problem(send(client, "add_item", order_id, {"If-Match": tags}), 412, "order-has-moved-on")


NO_TAGS = ["1", "", '" 1"', '"١"', "*, *", '"1', '1"', 'w/"1"', "W/1", '"1" "2"', "**", '*, "1"']


@pytest.mark.parametrize("tags", NO_TAGS)
def test_what_is_no_tag_is_refused(client: FlaskClient, sessions: sessionmaker[Session], tags: str) -> None:
    order_id = place(client)

    with nothing_stored(sessions):
        answer = send(client, "add_item", order_id, {"If-Match": tags})
        assert "If-Match" in problem(answer, 400, "invalid-header")["detail"]


def test_an_order_that_is_not_there_is_not_found_whatever_should_match(client: FlaskClient) -> None:
    for tags in ("*", '"1"'):
        problem(send(client, "add_item", "ORDER-404", {"If-Match": tags}), 404, "order-not-found")


def test_of_two_clients_that_saw_the_same_version_one_wins(app: Flask, sessions: sessionmaker[Session]) -> None:
    for _ in range(5):
        order_id = place(app.test_client())
        before = stored_events(sessions)
        add = partial(send, command="add_item", order_id=order_id, headers={"If-Match": '"1"'})
        cancel = partial(send, command="cancel_order", order_id=order_id, headers={"If-Match": '"1"'})

        answers = at_once(app, [add, cancel, add, cancel])

        assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 3}
        assert stored_events(sessions) == before + 1
        for answer in answers:
            if answer.status_code == 412:
                assert problem(answer, 412, "order-has-moved-on")["version"] == 2


def test_a_command_that_loses_the_race_after_its_version_was_checked_is_not_run(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    order_id = place(client)

    with somebody_else_first(sessions, LAPTOP_ADDED) as lost:
        answer = send(client, "add_item", order_id, {"If-Match": '"1"'})

    assert lost == [2]
    assert problem(answer, 412, "order-has-moved-on")["version"] == 2
    assert stored_events(sessions) == 2


@pytest.mark.parametrize("tags", ['"1"', 'W/"1"', "*", '"7", "1"', 'W/"7",W/"1"', *COMPRESSED])
def test_what_the_client_has_is_not_sent_again(client: FlaskClient, sessions: sessionmaker[Session], tags: str) -> None:
    order_id = place(client)
    show_everything(sessions)

    for path in (f"/orders/{order_id}", f"/orders/{order_id}?version=1"):
        for ask in (client.get, client.head):
            answer = ask(path, headers={"If-None-Match": tags})
            assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", '"1"')


@pytest.mark.parametrize("tags", ['"2"', '""', "", '"01"', "rubbish", '"7", "8"'])
def test_what_the_client_does_not_have_is_sent(client: FlaskClient, sessions: sessionmaker[Session], tags: str) -> None:
    order_id = place(client)
    show_everything(sessions)

    answer = client.get(f"/orders/{order_id}", headers={"If-None-Match": tags})

    assert (read(answer)["version"], answer.headers["ETag"]) == (1, '"1"')


def test_an_order_that_is_not_shown_yet_is_not_unmodified(client: FlaskClient) -> None:
    order_id = place(client)

    problem(client.get(f"/orders/{order_id}", headers={"If-None-Match": '"1"'}), 503, "read-model-behind")


def test_a_304_on_the_wire_has_the_tag_and_no_body(
    database_url: str, valkey: ValkeyServer, tmp_path: Path, sessions: sessionmaker[Session]
) -> None:
    with WebServer(database_url, valkey.url, tmp_path / "web.log") as web:
        order_id = place(web.client)
        show_everything(sessions)
        head = f'GET /orders/{order_id} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: "1"\r\nConnection: close'
        answer = web.raw(f"{head}\r\n\r\n".encode())

    assert (answer.status, answer.headers["etag"], answer.body) == (304, '"1"', b"")
    assert "content-type" not in answer.headers
    assert answer.headers.get("content-length", "0") == "0"
