"""The processes of the Procfile deliver webhooks, and a receiver that hangs keeps no order from being shown."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from core.webhooks import endpoints
from core.webhooks.delivering import AT_ONCE
from local.servers import ValkeyServer
from tests.drills.fleet import Fleet
from tests.support.make_run import request
from tests.support.read_side import append_placed, value
from tests.support.receiver import Receiver, answer
from tests.support.waiting import wait_until
from worker import webhooks
from worker.settings import settings

THREADS = 16  # of the process
SHARE = THREADS // 2  # of those that fail or are slow
HANGING = 5  # endpoints, which could take all threads
ORDERS = 24
BEING_SENT = "SELECT count(*) FROM webhook_orders WHERE taken_until > now()"
GOOD = "SELECT count(*) FROM webhook_deliveries WHERE status = 204"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "valkey") as server:
        yield server


def test_they_come_while_receivers_that_hang_keep_no_order_from_being_shown(
    database_url: str, broker: ValkeyServer, sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    release = Event()

    def hang(_: BaseHTTPRequestHandler) -> None:
        release.wait(60)

    with (
        Receiver(behave=hang) as hanging,
        Receiver() as receiver,
        Fleet(tmp_path / "logs", database_url=database_url, broker_url=broker.url, workers=1, webhooks=1) as stack,
    ):
        with sessions.begin() as session:
            for each in (receiver, *[hanging] * HANGING):
                endpoints.create(session, each.url, "", [], enabled=True)
        url = f"http://127.0.0.1:{stack.ports[0]}"
        order = {"customer_name": "山田太郎", "total_amount": 1}
        placed = {request(f"{url}/orders", order)["order_id"] for _ in range(ORDERS)}

        wait_until(lambda: len(hanging.got) >= SHARE)
        wait_until(lambda: set(receiver.versions) == placed)
        placed.add(request(f"{url}/orders", order)["order_id"])
        wait_until(lambda: set(receiver.versions) == placed)
        assert value(sessions, BEING_SENT) <= SHARE
        wait_until(lambda: {each["order_id"] for each in request(f"{url}/orders")["orders"]} == placed)
        release.set()
        hanging.behave = answer(204)
        wait_until(lambda: set(hanging.versions) == placed)


def test_new_events_are_noted_while_every_thread_is_sending(
    database_url: str, broker: ValkeyServer, sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    release = Event()
    with (
        Receiver() as receiver,
        Fleet(tmp_path / "logs", database_url=database_url, broker_url=broker.url, workers=0, webhooks=1) as stack,
    ):
        assert stack.ports
        with sessions.begin() as session:
            for _ in range(HANGING):
                endpoints.create(session, receiver.url, "", [], enabled=True)
        append_placed(sessions, "BEFORE")
        wait_until(lambda: value(sessions, GOOD) == HANGING)  # so none of them is risky any more

        def hang(_: BaseHTTPRequestHandler) -> None:
            release.wait(60)

        receiver.behave = hang
        append_placed(sessions, *(f"ORDER-{number}" for number in range(AT_ONCE)))
        wait_until(lambda: value(sessions, BEING_SENT) == THREADS)
        append_placed(sessions, "LATER")
        wait_until(lambda: value(sessions, "SELECT count(*) FROM webhook_orders WHERE order_id = 'LATER'") == HANGING)
        assert value(sessions, "SELECT count(*) FROM webhook_deliveries WHERE status IS NULL") == 0  # none has ended
        release.set()


def test_few_tasks_wait_for_a_process(app: Flask, valkey: ValkeyServer, sessions: sessionmaker[Session]) -> None:
    settings.cache_clear()
    webhooks.sessions.cache_clear()
    with sessions.begin() as session:
        endpoints.create(session, "https://shop.example/", "", [], enabled=True)
    append_placed(sessions, "A", "B")
    with Redis.from_url(valkey.url) as redis:
        redis.delete(webhooks.QUEUE)
        webhooks.dispatch()
        assert redis.llen(webhooks.QUEUE) == 2
        for _ in range(webhooks.MOST_TASKS):
            webhooks.deliver_webhook.apply_async(("x",))
        webhooks.dispatch()
        assert redis.llen(webhooks.QUEUE) == 2 + webhooks.MOST_TASKS
        redis.delete(webhooks.QUEUE)
    webhooks.sessions().kw["bind"].dispose()
