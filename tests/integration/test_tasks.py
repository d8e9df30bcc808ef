"""The tasks do what hints and Beat ask for, and one read model's trouble is not another's."""

import logging
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.read_models.catch_up import alone
from tests.examples import ORDER_ID
from tests.read_side import place, run, shown, value
from worker import tasks

SUMMARY, DETAILS = "order_summary_read_models", "order_details_read_models"


@pytest.fixture(autouse=True)
def worker(app: Flask) -> Iterator[None]:
    """A worker of the test's own; the application has named its database."""
    tasks.sessions.cache_clear()
    tasks.hints.cache_clear()
    yield
    tasks.finish()
    tasks.sessions().kw["bind"].dispose()
    tasks.sessions.cache_clear()
    tasks.hints.cache_clear()


def test_a_hint_is_projected_while_there_is_no_catch_up(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    place(sessions, ORDER_ID)

    tasks.project_event(ORDER_ID, 1)
    tasks.hints().wait()

    assert client.get("/readyz").get_json()["status"] == "degraded"
    assert shown(sessions, SUMMARY) == shown(sessions, DETAILS) == {ORDER_ID: 1}


def test_catch_up_projects_what_hints_missed_and_makes_the_service_ready(
    sessions: sessionmaker[Session], client: FlaskClient
) -> None:
    place(sessions, ORDER_ID)

    tasks.catch_up()

    assert shown(sessions, SUMMARY) == shown(sessions, DETAILS) == {ORDER_ID: 1}
    assert client.get("/readyz").get_json()["status"] == "ready"


def test_a_catch_up_leaves_alone_what_another_is_at(sessions: sessionmaker[Session]) -> None:
    place(sessions, ORDER_ID)

    with alone(sessions, "summary"):
        tasks.catch_up()

    assert (shown(sessions, SUMMARY), shown(sessions, DETAILS)) == ({}, {ORDER_ID: 1})


@pytest.mark.parametrize("by", ["hint", "catch-up"])
def test_a_read_model_whose_table_is_missing_is_logged_and_holds_no_other_back(
    sessions: sessionmaker[Session], caplog: pytest.LogCaptureFixture, by: str
) -> None:
    place(sessions, ORDER_ID)
    run(sessions, f"ALTER TABLE {SUMMARY} RENAME TO away")

    with caplog.at_level(logging.WARNING):
        if by == "hint":
            tasks.project_event(ORDER_ID, 1)
            tasks.hints().wait()
        else:
            tasks.catch_up()

    assert shown(sessions, DETAILS) == {ORDER_ID: 1}
    [warning] = caplog.messages
    assert f'UndefinedTable: relation "{SUMMARY}" does not exist' in warning
    assert value(sessions, "SELECT count(*) FROM projection_failures") == 0

    run(sessions, f"ALTER TABLE away RENAME TO {SUMMARY}")
    tasks.catch_up()
    assert shown(sessions, SUMMARY) == {ORDER_ID: 1}
