"""The tasks do what hints and Beat ask for, and one read model's trouble is not another's."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from kombu import Connection
from redis import Redis
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from celeryconfig import task_queues
from core.projection.catch_up import alone
from local.servers import ValkeyServer
from tests.drills.fleet import Fleet
from tests.support.examples import LAPTOP_ADDED, ORDER_ID
from tests.support.read_side import append_placed, project_all, run, shown, value
from tests.support.streams import append
from tests.support.waiting import wait_for_lock, wait_until
from worker import tasks
from worker.app import app as celery_app
from worker.settings import settings

SUMMARY, DETAILS = "order_summary_read_models", "order_details_read_models"


@pytest.fixture(autouse=True)
def worker(app: Flask) -> Iterator[None]:
    """A worker of the test's own; the application has named its database."""
    settings.cache_clear()
    tasks.process.cache_clear()
    process = tasks.process()
    yield
    process.hints.finish()
    process.sessions.kw["bind"].dispose()
    settings.cache_clear()
    tasks.process.cache_clear()


def test_a_hint_is_projected_while_there_is_no_catch_up(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    append_placed(sessions, ORDER_ID)

    tasks.project_event(ORDER_ID, 1)
    tasks.finish()

    assert client.get("/readyz").get_json()["status"] == "degraded"
    assert shown(sessions, SUMMARY) == shown(sessions, DETAILS) == {ORDER_ID: 1}


def test_a_row_that_stays_locked_holds_no_other_order_back(
    sessions: sessionmaker[Session], caplog: pytest.LogCaptureFixture
) -> None:
    append_placed(sessions, ORDER_ID)
    project_all(sessions, ORDER_ID)
    append(sessions, [LAPTOP_ADDED], after=1)
    with sessions() as other:
        other.execute(text(f"SELECT FROM {SUMMARY} WHERE order_id = '{ORDER_ID}' FOR UPDATE"))
        tasks.project_event(ORDER_ID, 2)
        wait_for_lock(sessions)
        append_placed(sessions, "ORDER-002")
        for order_id in (ORDER_ID, "ORDER-002"):  # they gather, and are tried together first
            tasks.project_event(order_id, 1)
        tasks.finish()

        assert shown(sessions, SUMMARY) == {ORDER_ID: 1, "ORDER-002": 1}
        assert shown(sessions, DETAILS) == {ORDER_ID: 2, "ORDER-002": 1}
        assert {said.split(" (")[0] for said in caplog.messages} == {f"Not projected into summary: {ORDER_ID}"}

        tasks.catch_up()
        assert "Catch-up of summary broke off (LockNotAvailable" in caplog.messages[-1]

    tasks.catch_up()
    assert shown(sessions, SUMMARY) == {ORDER_ID: 2, "ORDER-002": 1}
    assert value(sessions, "SELECT count(*) FROM projection_failures") == 0


def test_catch_up_projects_what_hints_missed_and_makes_the_service_ready(
    sessions: sessionmaker[Session], client: FlaskClient
) -> None:
    append_placed(sessions, ORDER_ID)

    tasks.catch_up()

    assert shown(sessions, SUMMARY) == shown(sessions, DETAILS) == {ORDER_ID: 1}
    assert client.get("/readyz").get_json()["status"] == "ready"


def test_a_catch_up_leaves_alone_what_another_is_at(sessions: sessionmaker[Session]) -> None:
    append_placed(sessions, ORDER_ID)

    with alone(sessions, "summary"):
        tasks.catch_up()

    assert (shown(sessions, SUMMARY), shown(sessions, DETAILS)) == ({}, {ORDER_ID: 1})


@pytest.mark.parametrize("by", ["hint", "catch-up"])
def test_a_read_model_whose_table_is_missing_is_logged_and_holds_no_other_back(
    sessions: sessionmaker[Session], caplog: pytest.LogCaptureFixture, by: str
) -> None:
    append_placed(sessions, ORDER_ID)
    run(sessions, f"ALTER TABLE {SUMMARY} RENAME TO away")

    with caplog.at_level(logging.WARNING):
        if by == "hint":
            tasks.project_event(ORDER_ID, 1)
            tasks.finish()
        else:
            tasks.catch_up()

    assert shown(sessions, DETAILS) == {ORDER_ID: 1}
    [warning] = caplog.messages
    assert f'UndefinedTable: relation "{SUMMARY}" does not exist' in warning
    assert value(sessions, "SELECT count(*) FROM projection_failures") == 0

    run(sessions, f"ALTER TABLE away RENAME TO {SUMMARY}")
    tasks.catch_up()
    assert shown(sessions, SUMMARY) == {ORDER_ID: 1}


def test_a_read_model_that_catch_up_cannot_help_is_named_and_holds_no_other_back(
    sessions: sessionmaker[Session], caplog: pytest.LogCaptureFixture
) -> None:
    append_placed(sessions, ORDER_ID)
    run(sessions, "ALTER TABLE projector_checkpoints ADD CONSTRAINT damaged CHECK (projector <> 'summary')")

    with pytest.raises(tasks.CatchUpFailed, match="summary"):
        tasks.catch_up()

    assert shown(sessions, DETAILS) == {ORDER_ID: 1}
    assert "Catch-up of summary broke off (CheckViolation: " in caplog.text


def test_a_broker_that_was_made_a_replica_is_tried_until_it_can_be_used(
    database_url: str, sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    append_placed(sessions, ORDER_ID)
    with (
        ValkeyServer(tmp_path / "broker") as broker,
        Redis.from_url(broker.url) as operator,
        Fleet(tmp_path, database_url=database_url, broker_url=broker.url, webs=0, workers=1) as fleet,
    ):
        wait_until(lambda: shown(sessions) == {ORDER_ID: 1})
        before = [process.pid for kind in ("worker", "beat") for process in fleet.tops(kind)]
        operator.replicaof("127.0.0.1", 1)
        log = tmp_path / "worker-0.log"
        wait_until(lambda: log.read_text().count("Trying again in") > 1)
        append_placed(sessions, "ORDER-002")
        operator.replicaof("NO", "ONE")

        wait_until(lambda: shown(sessions) == {ORDER_ID: 1, "ORDER-002": 1})
        assert [process.pid for kind in ("worker", "beat") for process in fleet.tops(kind)] == before


def test_a_broker_that_is_full_of_hints_is_emptied_by_a_worker_that_starts(
    database_url: str, sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    append_placed(sessions, ORDER_ID)
    with ValkeyServer(tmp_path / "broker") as broker, Redis.from_url(broker.url) as operator:
        with Fleet(
            tmp_path / "before",
            database_url=database_url,
            broker_url=broker.url,
            webs=0,
            workers=1,
            webhooks=1,
            beats=0,
        ):
            wait_until(lambda: operator.scard("_kombu.binding.orderlog") == len(task_queues))
        with Connection(broker.url) as connection:
            tasks.project_event.apply_async((ORDER_ID, 1), producer=celery_app.amqp.Producer(connection))
        operator.config_set("maxmemory", "1")

        with Fleet(tmp_path, database_url=database_url, broker_url=broker.url, webs=0, workers=1, beats=0):
            wait_until(lambda: shown(sessions) == {ORDER_ID: 1})
